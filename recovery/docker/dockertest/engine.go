package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery/docker"
)

// TestEngine runs the conformance suite on a real engine. Open returns an engine at
// a host such as "unix:///run/x.sock" or "tcp://127.0.0.1:1", or at the
// environment's own when host is empty, and closes it when the test ends.
func TestEngine(t *testing.T, open func(t *testing.T, host string) docker.Engine) {
	t.Helper()
	s := NewSandbox(t)
	x := &suite{s: s, e: open(t, ""), open: open}
	x.image = s.Image(Image{Tag: "suite", Env: map[string]string{"VERSION": "1"}, Labels: map[string]string{"a": "b"}})
	for _, tc := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"Version", x.version}, {"Life", x.life}, {"NotFound", x.notFound}, {"Conflict", x.conflict}, {"StartFails", x.startFails},
		{"Objects", x.objects}, {"Images", x.images}, {"Update", x.update}, {"Exec", x.exec}, {"ExecIsCutShort", x.execCut}, {"Logs", x.logs},
		{"LogsFollow", x.follow}, {"StatsAndTop", x.stats}, {"Volumes", x.volumes}, {"Networks", x.networks},
		{"EngineGone", x.gone}, {"EngineTooOld", x.tooOld}, {"EngineHangs", x.hangs},
	} {
		t.Run(tc.name, tc.run)
	}
}

type suite struct {
	s     *Sandbox
	e     docker.Engine
	open  func(t *testing.T, host string) docker.Engine
	image string
}

func (x *suite) version(t *testing.T) {
	v, err := x.e.Version(t.Context())
	if err != nil || v.Engine == "" || docker.CheckAPI(v.API) != nil {
		t.Fatalf("Version gives the API that is spoken and the engine's own version: %+v, %v", v, err)
	}
}

func (x *suite) life(t *testing.T) {
	ctx, name := t.Context(), x.s.Name("life")
	id, err := x.e.Create(ctx, docker.Spec{Name: name, Body: x.body(`"Env":["VERSION=7"]`)})
	must(t, err)
	x.want(t, id, docker.Created)
	must(t, x.e.Start(ctx, id))
	must(t, x.e.Start(ctx, id)) // one that runs already is no error
	x.s.Ready(id, 1)
	c := x.want(t, name, docker.Running)
	if c.ID != id || c.Name != name || c.ImageRef != x.image || c.Image != x.s.ImageID(x.image) || c.Health != docker.HealthNone || c.Started.IsZero() || len(c.Raw) == 0 {
		t.Fatalf("Inspect tells what the engine knows: %+v", c)
	}
	must(t, x.e.Stop(ctx, id, 10*time.Second))
	must(t, x.e.Stop(ctx, id, 10*time.Second)) // one that does not run is no error
	if c = x.want(t, id, docker.Exited); c.ExitCode != 0 || c.Finished.IsZero() {
		t.Fatalf("a bot that is asked to stop ends by itself: %+v", c)
	}
	is(t, x.e.Signal(ctx, id, "SIGKILL"), docker.ErrNotRunning)
	must(t, x.e.Start(ctx, id))
	x.s.Ready(id, 2)
	must(t, x.e.Signal(ctx, id, "SIGUSR2"))
	x.s.Eventually("the signal reaches the bot", func() bool { return x.state(t, id).ExitCode == 3 })
	must(t, x.e.Rename(ctx, id, name+"-aside"))
	is(t, second(x.e.Inspect(ctx, name)), docker.ErrNotFound)
	must(t, x.e.Start(ctx, id))
	is(t, x.e.Remove(ctx, docker.KindContainer, id), docker.ErrConflict) // it runs, and nothing is forced
	must(t, x.e.Signal(ctx, id, "SIGKILL"))
	x.s.Eventually("it is dead", func() bool { return x.state(t, id).State == docker.Exited })
	must(t, x.e.Remove(ctx, docker.KindContainer, id))
	is(t, second(x.e.Inspect(ctx, id)), docker.ErrNotFound)
}

// notFound asks everything about a container that vanished.
func (x *suite) notFound(t *testing.T) {
	ctx, id := t.Context(), x.s.Name("vanished")
	_, e1 := x.e.Inspect(ctx, id)
	_, e2 := x.e.Exec(ctx, id, []string{"/bin/box"}, nil, nil)
	_, e3 := x.e.Stats(ctx, id)
	_, e4 := x.e.Top(ctx, id)
	_, e5 := x.e.Image(ctx, id)
	_, e6 := x.e.Create(ctx, docker.Spec{Name: x.s.Name("no-image"), Body: []byte(`{"Image":"` + x.s.ID + `:none","HostConfig":{}}`)})
	for op, err := range map[string]error{
		"Inspect": e1, "Exec": e2, "Stats": e3, "Top": e4, "Image": e5, "Create": e6,
		"Start": x.e.Start(ctx, id), "Stop": x.e.Stop(ctx, id, time.Second), "Signal": x.e.Signal(ctx, id, "SIGKILL"),
		"Rename": x.e.Rename(ctx, id, id+"2"), "Update": x.e.Update(ctx, id, docker.Change{Policy: &docker.RestartPolicy{Name: "no"}}),
		"Remove": x.e.Remove(ctx, docker.KindContainer, id), "Remove image": x.e.Remove(ctx, docker.KindImage, id),
		"Remove volume": x.e.Remove(ctx, docker.KindVolume, id), "Logs": x.e.Logs(ctx, id, docker.LogQuery{}, new(bytes.Buffer), nil),
		"Tag": x.e.Tag(ctx, id, x.s.ID+":tag"),
	} {
		if !errors.Is(err, docker.ErrNotFound) {
			t.Errorf("%s of what is not there is ErrNotFound: %v", op, err)
		}
		if e, ok := errors.AsType[*docker.EngineError](err); !ok || e.Op == "" {
			t.Errorf("%s gives an *EngineError with its call: %#v", op, err)
		}
	}
}

func (x *suite) conflict(t *testing.T) {
	ctx := t.Context()
	x.s.Make("taken", x.image, nil)
	_, err := x.e.Create(ctx, docker.Spec{Name: x.s.Name("taken"), Body: x.body("")})
	is(t, err, docker.ErrConflict)
	other := x.s.Make("other", x.image, nil)
	is(t, x.e.Rename(ctx, other, x.s.Name("taken")), docker.ErrConflict)
}

func (x *suite) startFails(t *testing.T) {
	id := x.s.Make("broken", x.image, map[string]any{"Cmd": []string{"/bin/nothing"}})
	if err := x.e.Start(t.Context(), id); err == nil {
		t.Fatal("a container whose program is not there does not start")
	}
	if c := x.want(t, id, docker.Created); c.Problem == "" {
		t.Fatalf("the engine's reason is kept: %+v", c)
	}
}

func (x *suite) objects(t *testing.T) {
	ctx := t.Context()
	volume := x.s.Volume("used")
	id := x.s.Make("listed", x.image, map[string]any{"HostConfig": map[string]any{"Binds": []string{volume + ":/data"}}, "Labels": map[string]string{"which": "one"}})
	all, err := x.e.Objects(ctx, docker.KindContainer, Label+"="+x.s.ID, "which=one")
	must(t, err)
	if len(all) != 1 || all[0].ID != id || all[0].State != docker.Created || all[0].Image != x.s.ImageID(x.image) ||
		!slices.Equal(all[0].Names, []string{x.s.Name("listed")}) || !slices.Equal(all[0].Volumes, []string{volume}) || all[0].Labels["which"] != "one" {
		t.Fatalf("one container carries both labels, and does not run: %+v", all)
	}
	none, err := x.e.Objects(ctx, docker.KindContainer, Label+"="+x.s.ID, "which=two")
	must(t, err)
	if len(none) != 0 {
		t.Fatalf("every label must be carried: %+v", none)
	}
	volumes, err := x.e.Objects(ctx, docker.KindVolume, Label+"="+x.s.ID)
	must(t, err)
	if !slices.ContainsFunc(volumes, func(o docker.Object) bool { return o.ID == volume && o.Kind == docker.KindVolume }) {
		t.Fatalf("the volume is listed: %+v", volumes)
	}
	if _, err := x.e.Objects(ctx, "planet"); err == nil {
		t.Fatal("a kind that is none is an error")
	}
}

func (x *suite) images(t *testing.T) {
	ctx, pin := t.Context(), x.s.ID+":pin"
	img, err := x.e.Image(ctx, x.image)
	must(t, err)
	if img.ID != x.s.ImageID(x.image) || !slices.Contains(img.Tags, x.image) || img.Labels["a"] != "b" || len(img.Raw) == 0 {
		t.Fatalf("Image tells what the engine knows: %+v", img)
	}
	must(t, x.e.Tag(ctx, img.ID, pin))
	must(t, x.e.Tag(ctx, img.ID, pin)) // twice is no error
	list, err := x.e.Objects(ctx, docker.KindImage, Label+"="+x.s.ID)
	must(t, err)
	i := slices.IndexFunc(list, func(o docker.Object) bool { return o.ID == img.ID })
	if i < 0 || !slices.Contains(list[i].Names, pin) || list[i].Bytes == 0 {
		t.Fatalf("the image is listed with its new reference: %+v", list)
	}
	must(t, x.e.Remove(ctx, docker.KindImage, pin))
	if x.s.ImageID(x.image) != img.ID || x.s.ImageID(pin) != "" {
		t.Fatal("only the reference is removed while there is another")
	}
	is(t, x.e.Remove(ctx, docker.KindImage, x.imageInUse(t)), docker.ErrConflict)
}

// imageInUse returns an image with one reference and a running container.
func (x *suite) imageInUse(t *testing.T) string {
	t.Helper()
	ref := x.s.Image(Image{Tag: "used", Env: map[string]string{"VERSION": "used"}})
	x.s.Run("uses", ref, nil)
	return x.s.ImageID(ref)
}

func (x *suite) update(t *testing.T) {
	ctx := t.Context()
	id := x.s.Run("update", x.image, map[string]any{"HostConfig": map[string]any{"RestartPolicy": map[string]any{"Name": "always"}}})
	must(t, x.e.Update(ctx, id, docker.Change{Limits: &docker.Limits{Memory: 64 << 20, Swap: 128 << 20, CPUs: 0.5}}))
	c := x.state(t, id)
	if c.Limits.Memory != 64<<20 || c.Limits.CPUs != 0.5 || c.Policy.Name != "always" {
		t.Fatalf("limits are changed and the policy stays: %+v", c)
	}
	must(t, x.e.Update(ctx, id, docker.Change{Policy: &docker.RestartPolicy{Name: "on-failure", Retries: 4}}))
	c = x.state(t, id)
	if c.Limits.Memory != 64<<20 || c.Limits.CPUs != 0.5 || c.Policy != (docker.RestartPolicy{Name: "on-failure", Retries: 4}) || c.State != docker.Running {
		t.Fatalf("the policy is changed and the limits stay: %+v", c)
	}
}

func (x *suite) exec(t *testing.T) {
	ctx := t.Context()
	id := x.s.Run("exec", x.image, nil)
	for _, code := range []int{0, 7} {
		var out, errs bytes.Buffer
		got, err := x.e.Exec(ctx, id, []string{"/bin/box", "say", "to out", "to err", fmt.Sprint(code)}, &out, &errs)
		must(t, err)
		if got != code || out.String() != "to out" || errs.String() != "to err" {
			t.Fatalf("exit code and both streams come back apart: %d, %q, %q", got, &out, &errs)
		}
	}
	got, err := x.e.Exec(ctx, id, []string{"/bin/nothing"}, nil, nil)
	if err == nil && got != 126 && got != 127 {
		t.Fatalf("a program that is not there ends with 126 or 127: %d", got)
	}
	must(t, x.e.Stop(ctx, id, time.Second))
	got, err = x.e.Exec(ctx, id, []string{"/bin/box", "say", "", "", "0"}, nil, nil)
	is(t, err, docker.ErrNotRunning)
	if got == 0 {
		t.Fatal("what did not run has no exit code of success (law 1)")
	}
}

func (x *suite) execCut(t *testing.T) {
	id := x.s.Run("exec-cut", x.image, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	got, err := x.e.Exec(ctx, id, []string{"/bin/box", "sleep"}, nil, nil)
	if !errors.Is(err, context.DeadlineExceeded) || got == 0 {
		t.Fatalf("an exec that outlives its context has no exit code: %d, %v", got, err)
	}
}

func (x *suite) logs(t *testing.T) {
	ctx := t.Context()
	id := x.s.Run("logs", x.image, nil)
	must(t, x.e.Signal(ctx, id, "SIGUSR1"))
	read := func(q docker.LogQuery) (string, string) {
		var out, errs bytes.Buffer
		must(t, x.e.Logs(ctx, id, q, &out, &errs))
		return out.String(), errs.String()
	}
	x.s.Eventually("all is printed", func() bool { out, _ := read(docker.LogQuery{}); return strings.Contains(out, "reconnected") })
	if out, errs := read(docker.LogQuery{}); out != "bot 1 up\nbot reconnected\n" || errs != "bot warns\n" {
		t.Fatalf("the streams are apart: %q, %q", out, errs)
	}
	if out, errs := read(docker.LogQuery{Tail: 1}); out != "bot reconnected\n" || errs != "" {
		t.Fatalf("Tail gives the newest line: %q, %q", out, errs)
	}
	if out, errs := read(docker.LogQuery{Since: time.Now().Add(time.Hour)}); out+errs != "" {
		t.Fatalf("nothing was printed since the future: %q, %q", out, errs)
	}
	if out, errs := read(docker.LogQuery{Until: time.Now().Add(-time.Hour)}); out+errs != "" {
		t.Fatalf("nothing was printed until an hour ago: %q, %q", out, errs)
	}
	out, _ := read(docker.LogQuery{Timestamps: true, Tail: 1})
	stamp, line, _ := strings.Cut(out, " ")
	if at, err := time.Parse(time.RFC3339Nano, stamp); err != nil || line != "bot reconnected\n" {
		t.Fatalf("Timestamps puts the time before the line: %q", out)
	} else if out, _ := read(docker.LogQuery{Since: at}); out != "bot reconnected\n" {
		t.Fatalf("Since is to the nanosecond: %q", out)
	}
	var only bytes.Buffer
	must(t, x.e.Logs(ctx, id, docker.LogQuery{}, nil, &only))
	if only.String() != "bot warns\n" {
		t.Fatalf("a writer that is nil discards its stream: %q", &only)
	}
	tty := x.s.Run("logs-tty", x.image, map[string]any{"Tty": true})
	x.s.Eventually("a terminal's one stream is stdout", func() bool {
		var out bytes.Buffer
		must(t, x.e.Logs(ctx, tty, docker.LogQuery{}, &out, &out))
		return strings.Contains(out.String(), "bot 1 up") && strings.Contains(out.String(), "bot warns")
	})
}

func (x *suite) follow(t *testing.T) {
	id := x.s.Run("follow", x.image, nil)
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- x.e.Logs(t.Context(), id, docker.LogQuery{Follow: true}, &out, nil) }()
	must(t, x.e.Stop(t.Context(), id, 10*time.Second))
	if err := <-ended; err != nil || out.String() != "bot 1 up\nbot ended\n" {
		t.Fatalf("Follow ends when the container does: %v, %q", err, &out)
	}
	must(t, x.e.Start(t.Context(), id))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	is(t, x.e.Logs(ctx, id, docker.LogQuery{Follow: true}, new(bytes.Buffer), nil), context.DeadlineExceeded)
}

func (x *suite) stats(t *testing.T) {
	ctx := t.Context()
	id := x.s.Run("stats", x.image, nil)
	got, err := x.e.Stats(ctx, id)
	must(t, err)
	if got.At.IsZero() || got.Memory <= 0 || got.MemoryLimit <= 0 || got.CPU <= 0 || got.Processes < 1 {
		t.Fatalf("a running container uses something: %+v", got)
	}
	top, err := x.e.Top(ctx, id)
	must(t, err)
	if !slices.Contains(top.Titles, "PID") || len(top.Rows) != 1 || len(top.Rows[0]) != len(top.Titles) {
		t.Fatalf("one process runs: %+v", top)
	}
	must(t, x.e.Stop(ctx, id, time.Second))
	_, err = x.e.Stats(ctx, id)
	is(t, err, docker.ErrNotRunning)
	_, err = x.e.Top(ctx, id)
	is(t, err, docker.ErrNotRunning)
}

func (x *suite) volumes(t *testing.T) {
	ctx := t.Context()
	volume := x.s.Volume("kept")
	id := x.s.Make("with-volume", x.image, map[string]any{"HostConfig": map[string]any{"Binds": []string{volume + ":/data"}}})
	is(t, x.e.Remove(ctx, docker.KindVolume, volume), docker.ErrConflict)
	must(t, x.e.Remove(ctx, docker.KindContainer, id))
	if !x.s.HasVolume(volume) {
		t.Fatal("a container's volumes stay when it is removed")
	}
	must(t, x.e.Remove(ctx, docker.KindVolume, volume))
	if x.s.HasVolume(volume) {
		t.Fatal("a volume that is named is removed")
	}
}

// networks makes a container in two networks, which older engines take in two calls.
func (x *suite) networks(t *testing.T) {
	ctx := t.Context()
	one, two := x.s.Network("one"), x.s.Network("two")
	body := func(second string) []byte {
		return fmt.Appendf(nil, `{"Image":%q,"Labels":{%q:%q},"HostConfig":{"NetworkMode":%q},"NetworkingConfig":{"EndpointsConfig":{%q:{"Aliases":["bot"]},%q:%s}}}`,
			x.image, Label, x.s.ID, one, one, two, second)
	}
	id, err := x.e.Create(ctx, docker.Spec{Name: x.s.Name("two-networks"), Body: body("{}")})
	must(t, err)
	must(t, x.e.Start(ctx, id))
	state, _ := x.s.State(id)
	_, inOne := state.NetworkSettings.Networks[one]
	_, inTwo := state.NetworkSettings.Networks[two]
	if !inOne || !inTwo {
		t.Fatalf("the container is in both networks: %+v", state.NetworkSettings)
	}
	listed, err := x.e.Objects(ctx, docker.KindContainer, Label+"="+x.s.ID)
	must(t, err)
	if i := slices.IndexFunc(listed, func(o docker.Object) bool { return o.ID == id }); i < 0 || !slices.Contains(listed[i].Networks, one) || !slices.Contains(listed[i].Networks, two) {
		t.Fatalf("a container's networks are listed by name: %+v", listed)
	}
	networks, err := x.e.Objects(ctx, docker.KindNetwork, Label+"="+x.s.ID)
	must(t, err)
	i := slices.IndexFunc(networks, func(o docker.Object) bool { return slices.Equal(o.Names, []string{two}) })
	if i < 0 || networks[i].Kind != docker.KindNetwork || networks[i].Labels[Label] != x.s.ID || !slices.ContainsFunc(listed, func(o docker.Object) bool { return slices.Contains(o.Networks, networks[i].ID) }) {
		t.Fatalf("the network is listed, and its container by its ID: %+v", networks)
	}
	is(t, x.e.Remove(ctx, docker.KindNetwork, networks[i].ID), docker.ErrConflict)
	is(t, x.e.Remove(ctx, docker.KindNetwork, x.s.Name("no-network")), docker.ErrNotFound)
	three := x.s.Network("three")
	must(t, x.e.Remove(ctx, docker.KindNetwork, three))
	if x.s.HasNetwork(three) || !x.s.HasNetwork(two) {
		t.Fatal("a network that is named is removed, and no other")
	}
	if _, err := x.e.Create(ctx, docker.Spec{Name: x.s.Name("half"), Body: body(`{"IPAMConfig":{"IPv4Address":"10.99.99.9"}}`)}); err == nil {
		t.Fatal("an address that the second network has not is an error")
	}
	if _, ok := x.s.State(x.s.Name("half")); ok {
		t.Fatal("when Create fails there is no container")
	}
}

func (x *suite) gone(t *testing.T) {
	for _, host := range []string{"unix://" + filepath.Join(t.TempDir(), "no.sock"), "tcp://127.0.0.1:1"} {
		e := x.open(t, host)
		_, err := e.Inspect(t.Context(), "bot")
		is(t, err, docker.ErrEngineGone)
		is(t, e.Start(t.Context(), "bot"), docker.ErrEngineGone)
		is(t, e.Logs(t.Context(), "bot", docker.LogQuery{}, new(bytes.Buffer), nil), docker.ErrEngineGone)
		if !strings.Contains(err.Error(), "systemctl status docker") {
			t.Fatalf("the error helps the operator: %v", err)
		}
	}
}

// old is an engine that speaks an API of its time.
func old(t *testing.T, api string, status int, answer string) (host string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", api)
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

func (x *suite) tooOld(t *testing.T) {
	for _, api := range []string{"1.24", "1.40", "", "new"} {
		_, err := x.open(t, old(t, api, http.StatusNotFound, `{}`)).Inspect(t.Context(), "bot")
		is(t, err, docker.ErrTooOld)
	}
	refuses := old(t, "1.44", http.StatusBadRequest, `{"message":"client version 1.44 is too old. Minimum supported API version is 1.60"}`)
	_, err := x.open(t, refuses).Inspect(t.Context(), "bot")
	is(t, err, docker.ErrTooOld)
}

func (x *suite) hangs(t *testing.T) {
	released := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	t.Cleanup(func() { close(released); server.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := x.open(t, "tcp://"+server.Listener.Addr().String()).Inspect(ctx, "bot")
	is(t, err, context.DeadlineExceeded)
}

// body is the body of a container of the suite, with more fields.
func (x *suite) body(fields string) []byte {
	if fields != "" {
		fields = "," + fields
	}
	return fmt.Appendf(nil, `{"Image":%q,"Labels":{%q:%q},"HostConfig":{"NetworkMode":"none"}%s}`, x.image, Label, x.s.ID, fields)
}

func (x *suite) state(t *testing.T, id string) docker.Container {
	t.Helper()
	c, err := x.e.Inspect(t.Context(), id)
	must(t, err)
	return c
}

func (x *suite) want(t *testing.T, id string, state docker.State) docker.Container {
	t.Helper()
	c := x.state(t, id)
	if c.State != state {
		t.Fatalf("%s is %v, want %v", c.Name, c.State, state)
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("want %q: %v", want, err)
	}
}

func second[A any](_ A, err error) error { return err }
