package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Label is the key of the label that everything of a sandbox carries; its value is
// the sandbox's ID.
const Label = "andon.dockertest"

// Sandbox makes images, containers and volumes that belong to one test.
type Sandbox struct {
	t    testing.TB
	http *http.Client

	// ID is the value of Label, and the project of what it makes: "andon-" and a
	// random number.
	ID string
}

// NewSandbox returns a sandbox on the engine that DOCKER_HOST names by a Unix
// socket, or on Docker's usual one, and empties it when the test ends.
func NewSandbox(t testing.TB) *Sandbox {
	t.Helper()
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	path, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		missing(t, "an engine behind a Unix socket: DOCKER_HOST is %q", host)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	number := make([]byte, 6)
	if _, err := rand.Read(number); err != nil {
		t.Fatalf("dockertest: %v", err)
	}
	s := &Sandbox{t: t, http: &http.Client{Transport: transport, Timeout: 2 * time.Minute}, ID: "andon-" + hex.EncodeToString(number)}
	t.Cleanup(transport.CloseIdleConnections)
	if status, _, err := s.call(http.MethodGet, "/_ping", nil); err != nil || status != http.StatusOK {
		missing(t, "a Docker Engine at %s (apt-get install docker.io): status %d, %v", host, status, err)
	}
	t.Cleanup(s.empty)
	return s
}

// missing skips a test that lacks something of the machine, and fails it in CI.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing under CI=true: "+format, args...)
	}
	t.Skipf("missing: "+format, args...)
}

// Image is what an image of the bot is made of.
type Image struct {
	Tag    string            // without its repository, which is the sandbox's ID
	Env    map[string]string // VERSION is printed; BOT_EXIT, BOT_DEAF and BOT_SICK misbehave
	Labels map[string]string
	Health bool   // with a health check
	Volume string // a path that is a volume

	// Entrypoint is a program to run instead of the bot.
	Entrypoint string
}

// Image makes an image of one layer and returns its reference. A tag that is made
// again moves to the new image.
func (s *Sandbox) Image(img Image) string {
	s.t.Helper()
	changes := []string{fmt.Sprintf("LABEL %s=%q", Label, s.ID), "WORKDIR /tmp", `CMD ["/bin/bot"]`}
	for k, v := range img.Env {
		changes = append(changes, fmt.Sprintf("ENV %s=%q", k, v))
	}
	for k, v := range img.Labels {
		changes = append(changes, fmt.Sprintf("LABEL %s=%q", k, v))
	}
	if img.Health {
		changes = append(changes, `HEALTHCHECK --interval=300ms --retries=1 CMD ["/bin/box", "health"]`)
	}
	if img.Volume != "" {
		changes = append(changes, "VOLUME "+img.Volume)
	}
	if img.Entrypoint != "" {
		changes = append(changes, fmt.Sprintf("ENTRYPOINT [%q]", img.Entrypoint))
	}
	q := url.Values{"fromSrc": {"-"}, "repo": {s.ID}, "tag": {img.Tag}, "changes": changes}
	answer := s.must(http.MethodPost, "/images/create?"+q.Encode(), box(s.t))
	if strings.Contains(string(answer), `"error"`) {
		s.t.Fatalf("dockertest: image %s: %s", img.Tag, answer)
	}
	return s.ID + ":" + img.Tag
}

// Context returns the files of a folder that an image of the bot can be built in, by
// name.
func (s *Sandbox) Context(env map[string]string) map[string][]byte {
	s.t.Helper()
	var file strings.Builder
	fmt.Fprintf(&file, "FROM scratch\nADD box.tar /\nLABEL %s=%q\n", Label, s.ID)
	for k, v := range env {
		fmt.Fprintf(&file, "ENV %s=%q\n", k, v)
	}
	file.WriteString("CMD [\"/bin/bot\"]\n")
	return map[string][]byte{"Dockerfile": []byte(file.String()), "box.tar": box(s.t)}
}

// Run makes a container of the project, starts it and waits until the bot is up. The
// body is that of the engine's call; its image, labels and name are filled in, and its
// network is none unless it says otherwise.
func (s *Sandbox) Run(service, image string, body map[string]any) (id string) {
	s.t.Helper()
	id = s.Make(service, image, body)
	s.must(http.MethodPost, "/containers/"+id+"/start", nil)
	if _, other := body["Cmd"]; !other {
		s.Ready(id, 1)
	}
	return id
}

// Ready waits until a container does not run, or its bot has said for the n-th time
// that it is up. Before that it is deaf: the first process of a container gets no
// signal that it has not asked for.
func (s *Sandbox) Ready(container string, n int) {
	s.t.Helper()
	s.Eventually("the bot is up", func() bool {
		log := s.must(http.MethodGet, "/containers/"+container+"/logs?stdout=1", nil)
		state, ok := s.State(container)
		return bytes.Count(log, []byte(" up")) >= n || !ok || state.State.Status != "running"
	})
}

// Make is Run without the start.
func (s *Sandbox) Make(service, image string, body map[string]any) (id string) {
	s.t.Helper()
	body = maps.Clone(body)
	if body == nil {
		body = map[string]any{}
	}
	body["Image"] = image
	host := map[string]any{"NetworkMode": "none"} // not every engine has a bridge, and starts are faster without
	if given, ok := body["HostConfig"].(map[string]any); ok {
		maps.Copy(host, given)
	}
	body["HostConfig"] = host
	labels := map[string]string{Label: s.ID, "com.docker.compose.project": s.ID, "com.docker.compose.service": service, "com.docker.compose.oneoff": "False"}
	if more, ok := body["Labels"].(map[string]string); ok {
		maps.Copy(labels, more)
	}
	body["Labels"] = labels
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatalf("dockertest: %v", err)
	}
	var made struct{ ID string }
	s.read(s.must(http.MethodPost, "/containers/create?name="+s.Name(service), text), &made)
	return made.ID
}

// Name is the name of the container of a service.
func (s *Sandbox) Name(service string) string { return s.ID + "-" + service }

// Volume makes a volume and returns its name.
func (s *Sandbox) Volume(name string) string {
	s.t.Helper()
	text, err := json.Marshal(map[string]any{"Name": s.Name(name), "Labels": map[string]string{Label: s.ID}})
	if err != nil {
		s.t.Fatalf("dockertest: %v", err)
	}
	s.must(http.MethodPost, "/volumes/create", text)
	return s.Name(name)
}

// Network makes a network, with more labels, "key=value", and returns its name.
func (s *Sandbox) Network(name string, labels ...string) string {
	s.t.Helper()
	all := map[string]string{Label: s.ID}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		all[key] = value
	}
	text, err := json.Marshal(map[string]any{"Name": s.Name(name), "Labels": all})
	if err != nil {
		s.t.Fatalf("dockertest: %v", err)
	}
	s.must(http.MethodPost, "/networks/create", text)
	return s.Name(name)
}

// HasNetwork reports whether a network is there.
func (s *Sandbox) HasNetwork(name string) bool {
	s.t.Helper()
	var networks []struct{ Name string }
	filter := url.QueryEscape(fmt.Sprintf(`{"label":["%s=%s"]}`, Label, s.ID))
	s.read(s.must(http.MethodGet, "/networks?filters="+filter, nil), &networks)
	for _, n := range networks {
		if n.Name == name {
			return true
		}
	}
	return false
}

// PruneNetworks removes the sandbox's networks that no running container is in, by the
// engine's own prune.
func (s *Sandbox) PruneNetworks() { s.t.Helper(); s.prune("networks", "") }

// State is what the engine itself says of a container.
type State struct {
	ID, Name, Image string
	State           struct {
		Status   string
		Running  bool
		ExitCode int
	}
	RestartCount int
	Config       struct {
		Image, Hostname string
		Env, Cmd        []string
		Labels          map[string]string
	}
	HostConfig struct {
		RestartPolicy struct{ Name string }
		Memory        int64
		MemorySwap    int64
		NanoCpus      int64
		Binds         []string
	}
	Mounts          []struct{ Type, Name, Destination string }
	NetworkSettings struct {
		Networks map[string]struct{ Aliases []string }
	}
}

// State reads a container; ok is false when there is none.
func (s *Sandbox) State(container string) (state State, ok bool) {
	s.t.Helper()
	status, answer, err := s.call(http.MethodGet, "/containers/"+container+"/json", nil)
	if err != nil || status == http.StatusNotFound {
		if err != nil {
			s.t.Fatalf("dockertest: %v", err)
		}
		return State{}, false
	}
	s.read(answer, &state)
	state.Name = strings.TrimPrefix(state.Name, "/")
	return state, true
}

// Running returns the names of the sandbox's containers that run.
func (s *Sandbox) Running() []string {
	s.t.Helper()
	var names []string
	for _, c := range s.list("/containers/json", "") {
		names = append(names, strings.TrimPrefix(c.Names[0], "/"))
	}
	return names
}

// Containers returns the names of all the sandbox's containers.
func (s *Sandbox) Containers() []string {
	s.t.Helper()
	var names []string
	for _, c := range s.list("/containers/json", "all=1&") {
		names = append(names, strings.TrimPrefix(c.Names[0], "/"))
	}
	return names
}

// ImageID returns the ID of an image; empty when it is not there.
func (s *Sandbox) ImageID(ref string) string {
	s.t.Helper()
	status, answer, err := s.call(http.MethodGet, "/images/"+ref+"/json", nil)
	if err != nil {
		s.t.Fatalf("dockertest: %v", err)
	}
	if status == http.StatusNotFound {
		return ""
	}
	var img struct{ ID string }
	s.read(answer, &img)
	return img.ID
}

// HasVolume reports whether a volume is there.
func (s *Sandbox) HasVolume(name string) bool {
	s.t.Helper()
	status, _, err := s.call(http.MethodGet, "/volumes/"+name, nil)
	if err != nil {
		s.t.Fatalf("dockertest: %v", err)
	}
	return status == http.StatusOK
}

// API makes one call of the engine's API, such as POST "/containers/x/kill", which
// must succeed.
func (s *Sandbox) API(method, path string) {
	s.t.Helper()
	s.must(method, path, nil)
}

// PruneImages is docker image prune with the sandbox's label: what an operator does
// to the dangling images, confined to those of the test.
func (s *Sandbox) PruneImages() { s.t.Helper(); s.prune("images", `"dangling":["true"],`) }

// PruneContainers is docker container prune with the sandbox's label.
func (s *Sandbox) PruneContainers() { s.t.Helper(); s.prune("containers", "") }

func (s *Sandbox) prune(what, filter string) {
	s.t.Helper()
	filter = fmt.Sprintf(`{%s"label":["%s=%s"]}`, filter, Label, s.ID)
	s.must(http.MethodPost, "/"+what+"/prune?filters="+url.QueryEscape(filter), nil)
}

// Eventually waits until something is so, at most 30 seconds.
func (s *Sandbox) Eventually(what string, so func() bool) {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if so() {
			return
		}
	}
	s.t.Fatalf("dockertest: never within 30 s: %s", what)
}

type listed struct {
	ID       string `json:"Id"`
	Names    []string
	RepoTags []string
}

func (s *Sandbox) list(path, query string) []listed {
	s.t.Helper()
	var out []listed
	filter := fmt.Sprintf(`{"label":["%s=%s"]}`, Label, s.ID)
	s.read(s.must(http.MethodGet, path+"?"+query+"filters="+url.QueryEscape(filter), nil), &out)
	return out
}

// empty removes everything that carries the sandbox's label.
func (s *Sandbox) empty() {
	for _, c := range s.list("/containers/json", "all=1&") {
		s.drop("/containers/" + c.ID + "?force=1&v=1")
	}
	var networks []listed
	filter := url.QueryEscape(fmt.Sprintf(`{"label":["%s=%s"]}`, Label, s.ID))
	s.read(s.must(http.MethodGet, "/networks?filters="+filter, nil), &networks)
	for _, n := range networks {
		s.drop("/networks/" + n.ID)
	}
	var volumes struct{ Volumes []struct{ Name string } }
	s.read(s.must(http.MethodGet, "/volumes?filters="+filter, nil), &volumes)
	for _, v := range volumes.Volumes {
		s.drop("/volumes/" + v.Name)
	}
	for _, img := range s.list("/images/json", "") {
		s.drop("/images/" + img.ID + "?force=1")
	}
}

func (s *Sandbox) drop(path string) {
	status, answer, err := s.call(http.MethodDelete, path, nil)
	if err != nil || (status >= 400 && status != http.StatusNotFound) {
		s.t.Errorf("dockertest: removing %s: status %d, %v, %s", path, status, err, answer)
	}
}

func (s *Sandbox) must(method, path string, body []byte) []byte {
	s.t.Helper()
	status, answer, err := s.call(method, path, body)
	if err != nil || status >= 400 {
		s.t.Fatalf("dockertest: %s %s: status %d, %v, %s", method, path, status, err, answer)
	}
	return answer
}

func (s *Sandbox) call(method, path string, body []byte) (int, []byte, error) {
	req, err := http.NewRequest(method, "http://docker"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/images/create") {
		req.Header.Set("Content-Type", "application/x-tar")
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

func (s *Sandbox) read(answer []byte, into any) {
	s.t.Helper()
	if err := json.Unmarshal(answer, into); err != nil {
		s.t.Fatalf("dockertest: %v in %s", err, answer)
	}
}

//go:embed testdata/box/main.go
var boxSource []byte

// compiled is the program's tar, made once in a process.
var compiled = sync.OnceValues(compile)

// box returns an archive with the program under its names.
func box(t testing.TB) []byte {
	t.Helper()
	b, err := compiled()
	if err != nil {
		missing(t, "a Go toolchain that compiles the program of the test's images: %v", err)
	}
	return b
}

func compile() (b []byte, err error) {
	dir, err := os.MkdirTemp("", "andon-dockertest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "box")
	if err := os.WriteFile(source, boxSource, 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	err = pack(w, entry{"bin/box", text, 0o755})
	for _, name := range []string{"bot", "kill", "find"} {
		if err == nil {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: "bin/" + name, Linkname: "bin/box", Mode: 0o755})
		}
	}
	if err == nil {
		err = w.Close()
	}
	return buf.Bytes(), err
}

type entry struct {
	name string
	text []byte
	mode int64
}

func pack(w *tar.Writer, e entry) error {
	if err := w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.text)), Mode: e.mode}); err != nil {
		return err
	}
	_, err := w.Write(e.text)
	return err
}
