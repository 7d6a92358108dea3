// Package docker looks after the bot's containers: what they do, what they print and
// use, stopping, starting and restarting them, going back to the image before, and
// cleaning up without losing what an incident needs.
//
// # Promise
//
//   - What the engine does not say is unknown, and unknown is never running (law 1).
//   - Only the bot's own containers are touched: those of its compose project, and
//     those that Config names.
//   - A rollback is a plan first (law 9), keeps the old container as the way back, and
//     never lets the engine start both. Killed at any moment and applied again it
//     ends with one container in charge, new or old, never neither.
//   - A prune is a plan first. It is limited by label and leaves evidence, pinned
//     images, the bot's own containers and every volume that is not named. It is
//     refused while an incident may be open.
//   - Stopping and killing never wait for the record; everything else that changes
//     something is recorded first (law 10).
//   - With the engine down each call ends in time and says so (law 11).
//
// # Usage
//
//	engine, err := docker.Dial("") // DOCKER_HOST, or the usual socket
//	defer engine.Close()
//	stack, err := docker.New(docker.Config{
//		Engine:   engine,
//		Project:  "trading",
//		Services: []string{"ai-trading-bot", "postgres"},
//		Recorder: timeline,
//		Quiet:    func(ctx context.Context) error { return manager.NoneOpen(ctx) },
//	})
//	all, err := stack.Status(ctx)
//	_, err = stack.Restart(ctx, "ai-trading-bot", "alice", "websocket is dead", now)
//
// What the playbook calls by hand:
//
//	docker-compose ps                             Status, ServicesRunning
//	docker-compose logs --tail=100 BOT            Logs, NoErrorLogs
//	docker stats BOT                              Stats
//	docker-compose exec BOT top                   Top
//	docker-compose exec BOT rm -rf /tmp/cache/*   ClearCache
//	docker-compose exec BOT kill -USR1 1          Signal
//	docker-compose exec BOT ...                   Exec
//	docker-compose stop, start, kill, restart     Stop, Start, Kill, Restart
//	edit the resource limits                      SetLimits
//	git checkout stable-latest, build, up -d      Pin, PlanRecreate, Recreate, Undo
//	docker system prune -a --volumes              PlanPrune, Prune
//	docker-compose up -d, down, build             Up, Down, Build
//
// # Rollback
//
// Pin says that the image which the bot runs is good: after the 15 minutes of watching,
// for instance. PlanRecreate without an image goes back to the newest pinned one that
// does not run now. The plan is read by a person, and applied:
//
//	plan, err := stack.PlanRecreate(ctx, "ai-trading-bot", "", now)
//	fmt.Print(plan)
//	done, err := stack.Recreate(ctx, plan, "alice", "1.5.0 loses orders", now)
//
//	bot        runs, old image      -> stopped, policy no, bot.andon-old-PLAN
//	(nothing)  bot.andon-new-PLAN   -> bot, runs, new image, policy as it was
//	not well:  bot.andon-failed-PLAN, and bot runs on the old image again
//
// A journal in Config.Dir says which way it was going. Undo takes a finished one back;
// Discard drops what is kept. A bot that starts looks at Unfinished.
//
// # What an engine does that people do not expect
//
//   - A kill through its API, of any signal, may disable the restart policy until the
//     next start. So Restart starts, and Signal goes through the container's own kill.
//   - A container whose start failed keeps its name, in state created. So a recreation
//     makes the new one under another name.
//   - A tag that moves leaves the image before without a name, for the next prune. So
//     Pin gives it one.
//   - A container in state exited with policy "always" starts with the engine. So what
//     is put aside has policy "no".
//
// # Failure
//
// Engine errors are *EngineError, with a hint: ErrEngineGone, ErrTooOld, ErrNotFound,
// ErrConflict, ErrNotRunning. ErrNotWell says that a container did not come up,
// *RecreateError (ErrTakenBack) that the old one runs again and why, ErrMoved that a
// plan is stale, ErrUnfinished that an earlier one comes first, ErrIncident that
// something waits, ErrNoCompose that the program is not there.
//
// # Testing
//
// Package dockertest has the suite for an Engine of your own, and a sandbox on a real
// engine.
package docker
