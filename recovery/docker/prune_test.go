package docker_test

import (
	"context"
	"testing"

	"github.com/andon-go/andon/recovery/docker"
	"github.com/andon-go/andon/recovery/docker/dockertest"
	"github.com/andon-go/andon/recovery/recoverytest"
	"github.com/stretchr/testify/require"
)

// litter is a world with one of everything that a prune has to tell apart.
func litter(t *testing.T) (w world, req docker.PruneRequest) {
	t.Helper()
	w = newWorld(t)
	image, unused := w.image("1"), w.image("unused")
	evidence := w.box.Image(dockertest.Image{Tag: "evidence", Labels: map[string]string{"andon.evidence": "case 7"}})
	w.box.Run("runs", image, nil)
	w.box.Make("stopped", image, nil) // a service of the project that is down
	w.box.Make("job", image, map[string]any{"Labels": map[string]string{"com.docker.compose.oneoff": "True"}})
	w.box.Make("evidence", image, map[string]any{"Labels": map[string]string{"andon.evidence": "case 7", "com.docker.compose.oneoff": "True"}})
	w.box.Volume("data")
	w.box.Volume("named")
	require.NotEmpty(t, unused)
	require.NotEmpty(t, evidence)
	req = docker.PruneRequest{Labels: []string{dockertest.Label + "=" + w.box.ID}, Containers: true, Images: true, Volumes: []string{w.box.Name("named")}}
	return w, req
}

func TestPruneTakesOnlyWhatNobodyNeeds(t *testing.T) {
	w, req := litter(t)
	plan, err := w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	var kinds []string
	for _, i := range plan.Items {
		kinds = append(kinds, string(i.Kind)+" "+i.Names[0])
	}
	require.ElementsMatch(t, []string{"container " + w.box.Name("job"), "image " + w.box.ID + ":unused", "volume " + w.box.Name("named")}, kinds)
	require.Len(t, plan.Left, 5)
	require.Contains(t, plan.String(), "it is evidence")
	require.Positive(t, plan.Bytes())
	done, err := w.Prune(t.Context(), roundTrip(t, plan), alice, "the disk is full", noon)
	require.NoError(t, err)
	require.Len(t, done.Removed, 3)
	require.ElementsMatch(t, []string{w.box.Name("runs"), w.box.Name("stopped"), w.box.Name("evidence")}, w.box.Containers())
	require.Empty(t, w.box.ImageID(w.box.ID+":unused"))
	require.NotEmpty(t, w.box.ImageID(w.box.ID+":1"))
	require.NotEmpty(t, w.box.ImageID(w.box.ID+":evidence"))
	require.True(t, w.box.HasVolume(w.box.Name("data")), "a volume that is not named stays")
	require.False(t, w.box.HasVolume(w.box.Name("named")))

	recorded := len(w.rec.Entries())
	done, err = w.Prune(t.Context(), plan, alice, "again", noon)
	require.NoError(t, err)
	require.True(t, done.Unchanged, "law 9: applied twice it changes nothing the second time")
	require.Len(t, w.rec.Entries(), recorded)
}

// The trap, on the engine's own prune, confined to what is the test's.
func TestTrap_AnUnfilteredPruneDeletesTheEvidenceAndOursDoesNot(t *testing.T) {
	w, req := litter(t)
	plan, err := w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	_, err = w.Prune(t.Context(), plan, alice, why, noon)
	require.NoError(t, err)
	require.Contains(t, w.box.Containers(), w.box.Name("evidence"))
	w.box.PruneContainers()
	require.NotContains(t, w.box.Containers(), w.box.Name("evidence"), "docker container prune takes it")
}

// The engine's own prune of networks goes by what runs. The bot that is down, as in an
// incident, could not be started after it.
func TestTrap_APruneOfNetworksTakesThatOfAStoppedBotAndOursDoesNot(t *testing.T) {
	w := newWorld(t)
	image, needed, unused := w.image("1"), w.box.Network("needed"), w.box.Network("unused")
	evidence := w.box.Network("evidence", "andon.evidence=case 7")
	w.box.Make("bot", image, map[string]any{"HostConfig": map[string]any{"NetworkMode": needed}})
	req := docker.PruneRequest{Labels: []string{dockertest.Label + "=" + w.box.ID}}
	plan, err := w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	require.Empty(t, plan.Items, "networks go only when it is asked for")
	req.Networks = true
	plan, err = w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	require.Len(t, plan.Items, 1)
	require.Equal(t, []string{unused}, plan.Items[0].Names)
	require.Len(t, plan.Left, 2, plan.String())
	require.Contains(t, plan.String(), "is in it")
	require.Contains(t, plan.String(), "it is evidence")
	w.open(t, func(c *docker.Config) { c.Quiet = func(context.Context) error { return errBroken } })
	_, err = w.Prune(t.Context(), plan, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrIncident)
	require.True(t, w.box.HasNetwork(unused))
	w.open(t)
	other, err := w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	done, err := w.Prune(t.Context(), roundTrip(t, plan), alice, why, noon)
	require.NoError(t, err)
	require.Len(t, done.Removed, 1)
	require.False(t, w.box.HasNetwork(unused))
	require.True(t, w.box.HasNetwork(needed))
	require.True(t, w.box.HasNetwork(evidence))
	done, err = w.Prune(t.Context(), other, alice, why, noon)
	require.NoError(t, err)
	require.True(t, done.Unchanged)
	w.box.PruneNetworks()
	require.False(t, w.box.HasNetwork(needed), "docker network prune takes it")
}

func TestLaw9_ANetworkThatCameIntoUseIsNotPruned(t *testing.T) {
	w := newWorld(t)
	image, network := w.image("1"), w.box.Network("unused")
	plan, err := w.PlanPrune(t.Context(), docker.PruneRequest{Labels: []string{dockertest.Label + "=" + w.box.ID}, Networks: true}, noon)
	require.NoError(t, err)
	require.Len(t, plan.Items, 1)
	w.box.Make("bot", image, map[string]any{"HostConfig": map[string]any{"NetworkMode": network}})
	_, err = w.Prune(t.Context(), plan, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrMoved)
	require.True(t, w.box.HasNetwork(network))
	require.Empty(t, w.rec.Entries())
}

func TestPruneLeavesWhatARollbackNeeds(t *testing.T) {
	w := newWorld(t)
	w.box.Run("bot", w.image("1"), nil)
	pin, err := w.Pin(t.Context(), "bot", noon)
	require.NoError(t, err)
	plan := w.planTo(t, w.image("2"))
	r, err := w.Recreate(t.Context(), plan, alice, why, noon)
	require.NoError(t, err)
	req := docker.PruneRequest{Labels: []string{dockertest.Label + "=" + w.box.ID}, Containers: true, Images: true}
	prune, err := w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	require.Empty(t, prune.Items, prune.String())
	require.Contains(t, w.box.Containers(), r.Kept)
	require.NoError(t, w.Discard(t.Context(), plan.ID, alice, why, noon))
	prune, err = w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	require.Empty(t, prune.Items, "the pinned image stays although no container uses it")
	require.NotEmpty(t, w.box.ImageID(pin))
	require.Contains(t, prune.String(), "it is pinned")
}

func TestPruneNeedsALabelAndNeverGuesses(t *testing.T) {
	w, req := litter(t)
	w.open(t, func(c *docker.Config) { c.Project, c.Names = "", []string{"x"} })
	for _, labels := range [][]string{nil, {}, {""}, {"a", ""}} {
		_, err := w.PlanPrune(t.Context(), docker.PruneRequest{Labels: labels, Containers: true}, noon)
		require.ErrorContains(t, err, "everything on the engine would go")
	}
	w.open(t)
	used := w.box.Volume("used")
	w.box.Make("uses", w.box.ID+":1", map[string]any{"HostConfig": map[string]any{"Binds": []string{used + ":/data"}}})
	req.Volumes = []string{used}
	_, err := w.PlanPrune(t.Context(), req, noon)
	require.ErrorIs(t, err, docker.ErrConflict)
	req.Volumes, req.Labels = []string{w.box.Name("data")}, []string{dockertest.Label + "=another"}
	_, err = w.PlanPrune(t.Context(), req, noon)
	require.ErrorIs(t, err, docker.ErrNotOurs)
	p, err := w.PlanPrune(t.Context(), docker.PruneRequest{Containers: true}, noon)
	require.NoError(t, err)
	require.Equal(t, []string{"com.docker.compose.project=" + w.box.ID}, p.Request.Labels, "the project's own label by default")
}

func TestPruneWaitsUntilNoIncidentIsOpen(t *testing.T) {
	w, req := litter(t)
	plan, err := w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	looks := 0
	for name, quiet := range map[string]func(context.Context) error{
		"nobody says": nil,
		"one is open": func(context.Context) error { return errBroken },
	} {
		w.open(t, func(c *docker.Config) { c.Quiet = quiet })
		_, err = w.Prune(t.Context(), plan, alice, why, noon)
		require.ErrorIs(t, err, docker.ErrIncident, name)
	}
	require.Len(t, w.box.Containers(), 4)
	require.Empty(t, w.rec.Entries())
	w.open(t, func(c *docker.Config) {
		c.Quiet = func(context.Context) error {
			if looks++; looks > 2 { // one is opened while it is at work
				return errBroken
			}
			return nil
		}
	})
	done, err := w.Prune(t.Context(), plan, alice, why, noon)
	require.ErrorIs(t, err, docker.ErrIncident)
	require.Len(t, done.Removed, 1)
	w.open(t)
	done, err = w.Prune(t.Context(), plan, alice, "afterwards", noon)
	require.NoError(t, err)
	require.Len(t, done.Removed, 2, "what was left")
}

func TestLaw9_APruneWhoseFactsHaveMovedIsRefused(t *testing.T) {
	w, req := litter(t)
	plan, err := w.PlanPrune(t.Context(), req, noon)
	require.NoError(t, err)
	*w.rec = recoverytest.Recorder{}
	refused := func(p docker.PrunePlan) {
		t.Helper()
		_, err := w.Prune(t.Context(), p, alice, why, noon)
		require.ErrorIs(t, err, docker.ErrMoved)
		require.NotEmpty(t, w.box.ImageID(w.box.ID+":unused"))
		require.Empty(t, w.rec.Entries())
	}
	edited := plan
	edited.Items = append(edited.Items[:0:0], plan.Items...)
	edited.Items[0].ID = "another"
	refused(edited)
	w.box.API("POST", "/containers/"+w.box.Name("job")+"/start")
	refused(plan)
	w.box.API("DELETE", "/containers/"+w.box.Name("job")+"?force=1")
	w.box.Make("now-used", w.box.ID+":unused", nil)
	refused(plan)
	w.box.API("DELETE", "/containers/"+w.box.Name("now-used"))
	w.box.API("POST", "/images/"+w.box.ID+":unused/tag?repo="+w.box.ID+"&tag=other")
	refused(plan)
}
