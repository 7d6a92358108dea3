package docker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/crashtest"
	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

func (w world) planTo(t testing.TB, image string) docker.RecreatePlan {
	t.Helper()
	p, err := w.PlanRecreate(context.Background(), "bot", image, noon)
	require.NoError(t, err)
	return p
}

// version is what the bot in charge says that it is; empty when none runs.
func (w world) version(t testing.TB) string {
	t.Helper()
	o, err := w.Exec(t.Context(), "bot", []string{"/bin/box", "env", "VERSION"}, alice, why, noon)
	require.NoError(t, err)
	return strings.TrimSpace(o.Stdout)
}

func TestRecreateKeepsEverySettingButTheImages(t *testing.T) {
	w := newWorld(t)
	network, volume := w.box.Network("net"), w.box.Volume("data")
	old := w.box.Image(dockertest.Image{Tag: "old", Env: map[string]string{"VERSION": "old"}, Volume: "/state", Labels: map[string]string{"of": "old", "by": "us"}})
	id := w.box.Run("bot", old, map[string]any{
		"Env":    []string{"MODE=paper"},
		"Labels": map[string]string{"own": "kept"},
		"HostConfig": map[string]any{
			"Binds": []string{volume + ":/data"}, "RestartPolicy": map[string]any{"Name": "unless-stopped"}, "NetworkMode": network,
			"Memory": 256 << 20, "NanoCpus": 500000000, "CapDrop": []string{"NET_RAW"}, "LogConfig": map[string]any{"Type": "json-file", "Config": map[string]string{"max-size": "1m"}},
		},
		"NetworkingConfig": map[string]any{"EndpointsConfig": map[string]any{network: map[string]any{"Aliases": []string{"bot"}}}},
	})
	_, err := w.Exec(t.Context(), "bot", []string{"/bin/box", "write", "/state/seen", "42"}, alice, why, noon)
	require.NoError(t, err)
	before, _ := w.box.State(id)
	plan := w.planTo(t, w.box.Image(dockertest.Image{Tag: "new", Env: map[string]string{"VERSION": "new"}, Health: true, Volume: "/state", Labels: map[string]string{"of": "new"}}))
	require.Contains(t, plan.String(), "kept as "+w.box.Name("bot")+".andon-old-")
	r, err := w.Recreate(t.Context(), plan, alice, why, noon)
	require.NoError(t, err)
	require.Equal(t, docker.Healthy, r.Container.Health, "the new image's own health check")
	after, _ := w.box.State(w.box.Name("bot"))
	require.NotEqual(t, before.ID, after.ID)
	require.Equal(t, w.box.ImageID(w.box.ID+":new"), after.Image)
	require.Equal(t, before.HostConfig.RestartPolicy, after.HostConfig.RestartPolicy)
	require.Equal(t, before.HostConfig.Memory, after.HostConfig.Memory)
	require.Equal(t, before.HostConfig.NanoCpus, after.HostConfig.NanoCpus)
	require.ElementsMatch(t, append(slices.Clone(before.Config.Env), "VERSION=new"), append(slices.Clone(after.Config.Env), "VERSION=old"))
	require.Equal(t, "new", w.version(t))
	require.Equal(t, "kept", after.Config.Labels["own"])
	require.Equal(t, "new", after.Config.Labels["of"], "a label of the old image does not hide the new one's")
	require.NotContains(t, after.Config.Labels, "by")
	require.Equal(t, after.ID[:12], after.Config.Hostname)
	require.Contains(t, after.NetworkSettings.Networks[network].Aliases, "bot")
	require.NotContains(t, after.NetworkSettings.Networks[network].Aliases, before.ID[:12])
	require.Len(t, after.NetworkSettings.Networks, 1)
	require.ElementsMatch(t, before.Mounts, after.Mounts, "the volume without a name too")
	o, err := w.Exec(t.Context(), "bot", []string{"/bin/box", "read", "/state/seen"}, alice, why, noon)
	require.NoError(t, err)
	require.Equal(t, "42", o.Stdout)

	kept, ok := w.box.State(r.Kept)
	require.True(t, ok)
	require.Equal(t, before.ID, kept.ID)
	require.Equal(t, "exited", kept.State.Status)
	require.Equal(t, "no", kept.HostConfig.RestartPolicy.Name, "the engine must not start it beside the new one")
	require.Equal(t, []string{w.box.Name("bot")}, w.box.Running())
}

func TestLaw9_ARecreationAppliedTwiceChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), policy("always"))
	plan := w.planTo(t, w.image("2"))
	plan = roundTrip(t, plan)
	_, err := w.Recreate(t.Context(), plan, alice, why, noon)
	require.NoError(t, err)
	before, _ := w.box.State(w.box.Name("bot"))
	recorded := len(w.rec.Entries())
	r, err := w.Recreate(t.Context(), plan, alice, why, noon)
	require.NoError(t, err)
	require.True(t, r.Unchanged)
	after, _ := w.box.State(w.box.Name("bot"))
	require.Equal(t, before, after)
	require.Len(t, w.rec.Entries(), recorded)

	r, err = w.Undo(t.Context(), plan.ID, alice, "2 is worse", noon)
	require.NoError(t, err)
	require.Equal(t, "1", w.version(t))
	require.Equal(t, "always", r.Container.Policy.Name)
	state, _ := w.box.State(w.box.Name("bot"))
	require.Equal(t, "always", state.HostConfig.RestartPolicy.Name)
	require.Equal(t, []string{w.box.Name("bot")}, w.box.Running())
	r, err = w.Undo(t.Context(), plan.ID, alice, "again", noon)
	require.NoError(t, err)
	require.True(t, r.Unchanged)
	_, err = w.Recreate(t.Context(), plan, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrMoved, "it was taken back: a new plan is due")

	w.open(t, func(c *docker.Config) { c.Quiet = func(context.Context) error { return errBroken } })
	require.ErrorIs(t, w.Discard(t.Context(), plan.ID, alice, why, noon), docker.ErrIncident)
	w.open(t, func(c *docker.Config) { c.Quiet = nil })
	require.ErrorIs(t, w.Discard(t.Context(), plan.ID, alice, why, noon), docker.ErrIncident)
	require.Len(t, w.box.Containers(), 2)
	w.open(t)
	require.NoError(t, w.Discard(t.Context(), plan.ID, alice, why, noon))
	require.NoError(t, w.Discard(t.Context(), plan.ID, alice, why, noon))
	require.Equal(t, []string{w.box.Name("bot")}, w.box.Containers())
	require.Empty(t, w.box.ImageID("andon-keep:"+plan.ID[:12]+"-old"))
	_, err = w.Undo(t.Context(), plan.ID, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrNotFound)
}

func roundTrip[T any](t *testing.T, v T) (back T) {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &back))
	return back
}

func TestLaw9_ARecreationWhoseFactsHaveMovedIsRefused(t *testing.T) {
	w := newWorld(t)
	one, two := w.image("1"), w.image("2")
	id := w.box.Run("bot", one, policy("always"))
	refused := func(p docker.RecreatePlan, what string) {
		t.Helper()
		_, err := w.Recreate(t.Context(), p, alice, why, noon)
		require.ErrorIs(t, err, docker.ErrMoved, what)
		require.Equal(t, []string{w.box.Name("bot")}, w.box.Containers())
		require.Empty(t, w.rec.Entries())
	}
	plan := w.planTo(t, two)
	edited := plan
	edited.ToRef = one
	refused(edited, "an edited plan")
	w.box.API("POST", "/images/"+one+"/tag?repo="+w.box.ID+"&tag=2")
	refused(plan, "the reference moved to another image")
	two = w.image("2", "X", "y")
	plan = w.planTo(t, two)
	_, err := w.SetLimits(t.Context(), "bot", docker.Limits{CPUs: 1}, alice, why, noon)
	require.NoError(t, err)
	*w.rec = recoverytest.Recorder{}
	refused(plan, "other settings")
	plan = w.planTo(t, two)
	taken := w.box.Name("bot") + ".andon-old-" + plan.ID[:12]
	w.box.API("POST", "/containers/"+w.box.Make("x", one, nil)+"/rename?name="+taken)
	_, err = w.Recreate(t.Context(), plan, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrMoved, "the name aside is taken")
	w.box.API("DELETE", "/containers/"+taken)
	plan = w.planTo(t, two)
	w.box.API("DELETE", "/containers/"+id+"?force=1")
	w.box.Run("bot", one, policy("always"))
	refused(plan, "another container of the same name")
}

func TestRollbackGoesToTheNewestPinnedImageThatDoesNotRun(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	_, err := w.PlanRecreate(t.Context(), "bot", "", noon)
	require.ErrorIs(t, err, docker.ErrNoPrevious)
	first, err := w.Pin(t.Context(), "bot", noon)
	require.NoError(t, err)
	again, err := w.Pin(t.Context(), "bot", noon.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, first, again, "it is pinned already")
	_, err = w.PlanRecreate(t.Context(), "bot", "", noon)
	require.ErrorIs(t, err, docker.ErrNoPrevious, "the only pinned image is the one that runs: no guess")
	_, err = w.Recreate(t.Context(), w.planTo(t, w.image("2")), alice, "deploy", noon)
	require.NoError(t, err)
	second, err := w.Pin(t.Context(), "bot", noon.Add(2*time.Hour))
	require.NoError(t, err)
	pins, err := w.Pins(t.Context(), "bot")
	require.NoError(t, err)
	require.Equal(t, []string{second, first}, []string{pins[0].Ref, pins[1].Ref})
	plan := w.planTo(t, "")
	require.Equal(t, first, plan.ToRef)
	_, err = w.Recreate(t.Context(), plan, alice, "2 loses orders", noon)
	require.NoError(t, err)
	require.Equal(t, "1", w.version(t))
}

// The trap: the tag moves with the next build, and the prune after it deletes the
// image that the rollback needs.
func TestTrap_APinnedImageSurvivesRetagAndPrune(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		t.Run(fmt.Sprintf("pinned=%v", pinned), func(t *testing.T) {
			w := newWorld(t)
			id := w.box.Run("bot", w.image("latest"), nil)
			before, _ := w.box.State(id)
			if pinned {
				_, err := w.Pin(t.Context(), "bot", noon)
				require.NoError(t, err)
			}
			latest := w.image("latest", "X", "another build") // takes the reference away
			w.box.API("DELETE", "/containers/"+id+"?force=1")
			w.box.Run("bot", latest, nil)
			w.box.PruneImages()
			if !pinned {
				require.Empty(t, w.box.ImageID(before.Image), "so it goes without a pin")
				return
			}
			plan := w.planTo(t, "")
			require.Equal(t, before.Image, plan.To)
			_, err := w.Recreate(t.Context(), plan, alice, "roll back", noon)
			require.NoError(t, err)
		})
	}
}

// Complaint: containers vanish on a failed update, without a rollback (watchtower 90,
// 542, 1385); an orphaned replacement (drydock PR 503).
func TestComplaint_AFailedReplacementIsTakenBack(t *testing.T) {
	for name, image := range map[string]dockertest.Image{
		"ends at once":      {Tag: "bad", Env: map[string]string{"BOT_EXIT": "9"}},
		"is unhealthy":      {Tag: "bad", Env: map[string]string{"BOT_SICK": "1"}, Health: true},
		"cannot be started": {Tag: "bad", Entrypoint: "/bin/nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.box.Run("bot", w.image("1"), policy("always"))
			plan := w.planTo(t, w.box.Image(image))
			if name == "ends at once" {
				w.open(t, slowly)
			}
			_, err := w.Recreate(t.Context(), plan, alice, why, noon)
			require.ErrorIs(t, err, docker.ErrTakenBack)
			w.open(t)
			failed, ok := errors.AsType[*docker.RecreateError](err)
			require.True(t, ok)
			now, _ := w.box.State(w.box.Name("bot"))
			require.Equal(t, id, now.ID, "the old container has its name again")
			require.True(t, now.State.Running)
			require.Equal(t, "always", now.HostConfig.RestartPolicy.Name)
			require.Equal(t, "1", w.version(t))
			kept, ok := w.box.State(failed.Failed)
			require.True(t, ok, "the replacement is kept as evidence")
			require.False(t, kept.State.Running)
			require.Equal(t, "no", kept.HostConfig.RestartPolicy.Name)
			if name == "ends at once" {
				require.Contains(t, failed.Output, "bot")
				require.ErrorContains(t, err, "with 9")
			}
			require.Len(t, w.box.Containers(), 2)
			unfinished, err := w.Unfinished()
			require.NoError(t, err)
			require.Empty(t, unfinished)

			good := w.planTo(t, w.image("3"))
			_, err = w.Recreate(t.Context(), good, alice, "the next try", noon)
			require.NoError(t, err, "no name is left taken: the next create would answer 409")
			require.Equal(t, "3", w.version(t))
			require.NoError(t, w.Discard(t.Context(), plan.ID, alice, why, noon))
			require.NoError(t, w.Discard(t.Context(), good.ID, alice, why, noon))
			require.Equal(t, []string{w.box.Name("bot")}, w.box.Containers())
		})
	}
}

// The trap by itself: a container whose start failed keeps its name.
func TestTrap_AContainerThatCouldNotStartKeepsItsName(t *testing.T) {
	w := newWorld(t)
	engine := dial(t, "")
	id := w.box.Make("bot", w.image("1"), map[string]any{"Cmd": []string{"/bin/nothing"}})
	require.Error(t, engine.Start(t.Context(), id))
	require.Equal(t, "created", w.status(id))
	_, err := engine.Create(t.Context(), docker.Spec{Name: w.box.Name("bot"), Body: fmt.Appendf(nil, `{"Image":%q,"HostConfig":{}}`, w.box.ID+":1")})
	require.ErrorIs(t, err, docker.ErrConflict)
	_, err = w.Recreate(t.Context(), w.planTo(t, w.image("2")), alice, why, noon)
	require.Error(t, err, "its command is one of its own settings, so that the next one cannot start either")
	c, err := w.Find(t.Context(), "bot")
	require.NoError(t, err)
	require.Equal(t, id, c.ID)
}

func TestAReplacementThatCannotBeMadeCostsNoDowntime(t *testing.T) {
	w := newWorld(t)
	id := w.box.Run("bot", w.image("1"), policy("always"))
	before, _ := w.box.State(id)
	w.open(t, func(c *docker.Config) { c.Engine = cannotCreate{c.Engine} })
	plan := w.planTo(t, w.image("2"))
	_, err := w.Recreate(t.Context(), plan, alice, why, noon)
	require.ErrorIs(t, err, errBroken)
	require.NotErrorIs(t, err, docker.ErrTakenBack)
	after, _ := w.box.State(w.box.Name("bot"))
	require.Equal(t, before, after, "it was not even stopped")
	require.Len(t, w.box.Containers(), 1)
	require.Empty(t, w.box.ImageID("andon-keep:"+plan.ID[:12]+"-new"))
	w.open(t)
	_, err = w.Recreate(t.Context(), plan, alice, why, noon)
	require.NoError(t, err, "the plan is as good as before")
}

type cannotCreate struct{ docker.Engine }

func (cannotCreate) Create(context.Context, docker.Spec) (string, error) { return "", errBroken }

func TestAContainerThatRemovesItselfIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), map[string]any{"HostConfig": map[string]any{"AutoRemove": true}})
	_, err := w.PlanRecreate(t.Context(), "bot", w.image("2"), noon)
	require.ErrorContains(t, err, "no way back")
}

func TestUndoLeavesALaterContainerAlone(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	first := w.planTo(t, w.image("2"))
	_, err := w.Recreate(t.Context(), first, alice, why, noon)
	require.NoError(t, err)
	second := w.planTo(t, w.image("3"))
	_, err = w.Recreate(t.Context(), second, alice, why, noon)
	require.NoError(t, err)
	_, err = w.Undo(t.Context(), first.ID, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrMoved)
	require.Equal(t, "3", w.version(t))
	_, err = w.Recreate(t.Context(), first, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrMoved)
	w.box.API("DELETE", "/containers/"+w.box.Name("bot")+".andon-old-"+second.ID[:12])
	_, err = w.Undo(t.Context(), second.ID, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrNotFound, "the way back was removed")
	require.Equal(t, "3", w.version(t), "and what runs is left as it is")
}

func TestLaw1_AJournalThatCannotBeReadRefusesTheNextRecreation(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	plan := w.planTo(t, w.image("2"))
	for _, text := range []string{"", "{}", `{"plan":{},"phase":"done"}`} {
		path := filepath.Join(w.cfg.Dir, "recreate-0123456789ab.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := w.Recreate(t.Context(), plan, alice, why, noon)
		require.ErrorContains(t, err, "journal", text)
		_, err = w.Unfinished()
		require.Error(t, err)
	}
	require.Len(t, w.box.Containers(), 1)
	_, err := w.Undo(t.Context(), "../../etc", alice, why, noon)
	require.ErrorContains(t, err, "not the ID of a plan")
}

// cut is an engine that goes away before its n-th change, or right after it.
type cut struct {
	docker.Engine
	left  *int
	after bool
	note  func() error
}

func (c cut) change(do func() error) error {
	if c.note != nil {
		if err := c.note(); err != nil {
			return err
		}
	}
	gone := &docker.EngineError{Op: "cut", Kind: docker.ErrEngineGone}
	if *c.left--; *c.left < 0 || (*c.left == 0 && !c.after) {
		return gone
	}
	if err := do(); err != nil || *c.left > 0 {
		return err
	}
	return gone
}

func (c cut) Create(ctx context.Context, s docker.Spec) (id string, err error) {
	err = c.change(func() error { id, err = c.Engine.Create(ctx, s); return err })
	return id, err
}

func (c cut) Start(ctx context.Context, id string) error {
	return c.change(func() error { return c.Engine.Start(ctx, id) })
}

func (c cut) Stop(ctx context.Context, id string, grace time.Duration) error {
	return c.change(func() error { return c.Engine.Stop(ctx, id, grace) })
}

func (c cut) Signal(ctx context.Context, id, signal string) error {
	return c.change(func() error { return c.Engine.Signal(ctx, id, signal) })
}

func (c cut) Rename(ctx context.Context, id, name string) error {
	return c.change(func() error { return c.Engine.Rename(ctx, id, name) })
}

func (c cut) Update(ctx context.Context, id string, change docker.Change) error {
	return c.change(func() error { return c.Engine.Update(ctx, id, change) })
}

func (c cut) Remove(ctx context.Context, kind docker.Kind, name string) error {
	return c.change(func() error { return c.Engine.Remove(ctx, kind, name) })
}

func (c cut) Tag(ctx context.Context, image, ref string) error {
	return c.change(func() error { return c.Engine.Tag(ctx, image, ref) })
}

// The engine goes away before or after each single change of a rollback; then the
// plan is applied again, or taken back.
func TestLaw9_ARollbackThatTheEngineCutsOffEndsWithOneContainerInCharge(t *testing.T) {
	w := newWorld(t)
	one := w.image("1")
	bad := w.box.Image(dockertest.Image{Tag: "bad", Env: map[string]string{"BOT_SICK": "1"}, Health: true})
	for _, tc := range []struct {
		name, image string
		first       int // the change to begin with
		cuts        int // at least
	}{
		{"forward", w.image("2"), 1, 9},
		{"back", bad, 8, 4}, // it is well until it has started
	} {
		t.Run(tc.name, func(t *testing.T) {
			cuts := 0
			for n := tc.first; w.cutAt(t, one, tc.image, n); n++ {
				cuts++
			}
			require.GreaterOrEqual(t, cuts, tc.cuts)
		})
	}
}

// cutAt lets a recreation lose the engine at its n-th change, and finishes it one
// way or the other. It is false when there are fewer changes.
func (w world) cutAt(t *testing.T, one, image string, n int) bool {
	t.Helper()
	w.cfg.Dir = t.TempDir()
	w.box.Run("bot", one, policy("always"))
	w.open(t, func(c *docker.Config) {
		left := n
		c.Engine = cut{Engine: c.Engine, left: &left, after: n%2 == 0}
	})
	plan := w.planTo(t, image)
	_, err := w.Recreate(t.Context(), plan, alice, why, noon)
	wasCut := errors.Is(err, docker.ErrEngineGone)
	if wasCut {
		require.ErrorIs(t, err, docker.ErrUnfinished)
		require.LessOrEqual(t, len(w.box.Running()), 1, "never two")
	}
	w.open(t)
	if n%4 == 0 {
		_, err = w.Undo(t.Context(), plan.ID, alice, why, noon)
		require.NoError(t, err, n)
		require.Equal(t, "1", w.version(t))
	} else if _, err = w.Recreate(t.Context(), plan, alice, why, noon); err != nil {
		require.True(t, errors.Is(err, docker.ErrTakenBack) || errors.Is(err, docker.ErrMoved), "%d: %v", n, err)
		require.Equal(t, "1", w.version(t))
	} else {
		require.Equal(t, "2", w.version(t))
	}
	w.oneInCharge(t)
	for _, c := range w.box.Containers() {
		w.box.API("DELETE", "/containers/"+c+"?force=1")
	}
	return wasCut
}

// oneInCharge checks that one container runs, under the canonical name, with the
// restart policy of the bot, and that nothing else ever will.
func (w world) oneInCharge(t *testing.T) {
	t.Helper()
	require.Equal(t, []string{w.box.Name("bot")}, w.box.Running())
	for _, c := range w.box.Containers() {
		s, _ := w.box.State(c)
		want := "no"
		if s.Name == w.box.Name("bot") {
			want = "always"
		}
		require.Equal(t, want, s.HostConfig.RestartPolicy.Name, s.Name)
	}
	unfinished, err := w.Unfinished()
	require.NoError(t, err)
	require.Empty(t, unfinished)
}

// A process that rolls back is killed at each durable step: of its journal, and
// before and after each change that it asks of the engine.
func TestLaw9_AKilledRollbackAppliedAgainEndsWithOneContainerInCharge(t *testing.T) {
	var w world // of the parent; a child finds everything in its directory
	open := func(t *testing.T, dir string, note func() error) (*docker.Stack, docker.RecreatePlan) {
		var plan docker.RecreatePlan
		text, err := os.ReadFile(filepath.Join(dir, "plan.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &plan))
		left := 1 << 20
		stack, err := docker.New(quick(docker.Config{
			Engine: cut{Engine: dial(t, ""), left: &left, note: note}, Names: []string{plan.Name}, Dir: filepath.Join(dir, "journal"), Recorder: new(recoverytest.Recorder),
		}))
		require.NoError(t, err)
		return stack, plan
	}
	crashtest.Run(t, crashtest.Config{
		MaxSteps: 40, Timeout: 2 * time.Minute,
		Setup: func(dir string) error {
			if w.Stack == nil {
				w = newWorld(t)
				w.image("1")
				w.image("2")
			}
			w.box.Run("bot", w.box.ID+":1", policy("always"))
			text, err := json.Marshal(w.planTo(t, w.box.ID+":2"))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "plan.json"), text, 0o600), os.Mkdir(filepath.Join(dir, "journal"), 0o700))
		},
	}, func(dir string) error {
		steps, err := os.Create(filepath.Join(dir, "steps"))
		if err != nil {
			return err
		}
		stack, plan := open(t, dir, func() error { _, err := steps.WriteString("x"); return err })
		_, err = stack.Recreate(t.Context(), plan, alice, why, noon)
		return err
	}, func(t *testing.T, dir string, at crashtest.Step) {
		require.LessOrEqual(t, len(w.box.Running()), 1, "never two")
		stack, plan := open(t, dir, nil)
		if at.N%3 == 2 {
			_, err := stack.Undo(t.Context(), plan.ID, "bob", "after a crash", noon)
			if !errors.Is(err, docker.ErrNotFound) { // it had not begun
				require.NoError(t, err)
			}
		} else {
			_, err := stack.Recreate(t.Context(), plan, "bob", "after a crash", noon)
			require.NoError(t, err)
		}
		now := w
		now.Stack = stack
		now.oneInCharge(t)
		for _, c := range w.box.Containers() {
			w.box.API("DELETE", "/containers/"+c+"?force=1")
		}
	})
}
