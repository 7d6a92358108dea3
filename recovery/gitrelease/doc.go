// Package gitrelease puts versions of the bot beside each other and switches between
// them: the last commits, the rollback to a good one, the clean reinstall.
//
// # Promise
//
//   - The running checkout is never touched. A version gets a fresh checkout of its own
//     beside it, is verified and built there, and only then the link "current" is
//     switched, atomically and durably: at every instant it leads to the old version
//     or to the new one, both whole.
//   - A version is a full hash before anything is done. What begins with "-" is refused.
//   - A deployment is done once for a key. Killed at any moment and asked for again
//     with the same key it is finished. A build that fails leaves current as it was.
//   - Undo switches back to the checkout before, as long as nobody has switched since.
//   - Nothing is cleaned: there is no git clean here. Old checkouts made by this
//     package are removed beyond Config.Keep, never the current or the previous one.
//   - git runs without hooks, pager, prompts, external programs for a diff and the GIT_
//     variables of the environment, and reads from local repositories only. A filter that
//     Source's own configuration names, as of git lfs, is run by Diff.
//
// # Usage
//
//	repo, err := gitrelease.Open(gitrelease.Config{
//		Source:   "/opt/bot/repo",
//		Root:     "/opt/bot/releases",
//		Shared:   []gitrelease.Shared{{Path: ".env", From: "/opt/bot/.env"}, {Path: "data", From: "/data"}, {Path: "logs", From: "/logs"}},
//		Build:    func(ctx context.Context, dir string) error { return compose.Build(ctx, dir) },
//		Recorder: timeline,
//	})
//	fmt.Println(repo.Log(ctx, 10))
//	evidence, err := repo.Deploy(ctx, "INC-7/rollback", "alice", "1.5.0 loses orders", "stable-latest")
//	evidence, err = repo.Undo(ctx, "INC-7/rollback", "alice", "it was the exchange")
//
// What the playbook calls by hand:
//
//	git log --oneline -10                     Log
//	git log --oneline | grep -i stable        Stable
//	git diff HEAD~1 .env config/              Diff, with the values of .env hidden
//	git checkout COMMIT or stable-latest      Deploy
//	git clean -fdx, git checkout main         Deploy of main: a fresh checkout has nothing to clean
//	docker-compose build, poetry install      Config.Build
//
// # Layout
//
//	Root/current -> a1b2c3d4e5f6-0123456789ab     the running checkout
//	Root/a1b2c3d4e5f6-0123456789ab/               commit a1b2c3d4e5f6..., for the key with that digest
//	Root/.andon/                                  the journal
//
// # Failure
//
// ErrNoGit, ErrNoRevision, ErrDamaged, ErrBuild, ErrMoved, ErrKeyUsed and ErrUnknownKey say
// which. What git says is in the error, without the values of .env.
package gitrelease
