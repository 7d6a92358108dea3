package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

// Client is an Engine on Docker's own client. It is safe for concurrent use.
type Client struct {
	api   *client.Client
	ready atomic.Bool // the version of the API has been agreed on
}

var _ Engine = (*Client)(nil)

// Dial returns a client for an engine, such as "unix:///var/run/docker.sock", or the
// one that the environment names (DOCKER_HOST and its like) when host is empty. It
// does not connect: a bot starts while the engine is down. Close it.
func Dial(host string) (*Client, error) {
	opts := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		opts = append(opts, client.WithHost(host))
	}
	api, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, fmt.Errorf("docker client: %w", err)
	}
	return &Client{api: api}, nil
}

// Close ends the idle connections.
func (c *Client) Close() error { return c.api.Close() }

// connect agrees on a version of the API. The client itself would swallow the
// failure and go on with a version that the engine may not know.
func (c *Client) connect(ctx context.Context) error {
	if c.ready.Load() {
		return nil
	}
	pong, err := c.api.Ping(ctx)
	if err != nil {
		return engineError("ping", "", err)
	}
	if err := CheckAPI(pong.APIVersion); err != nil {
		return err
	}
	c.api.NegotiateAPIVersionPing(pong)
	c.ready.Store(true)
	return nil
}

// Version implements Engine.
func (c *Client) Version(ctx context.Context) (Version, error) {
	if err := c.connect(ctx); err != nil {
		return Version{}, err
	}
	v, err := c.api.ServerVersion(ctx)
	if err != nil {
		return Version{}, engineError("version", "", err)
	}
	if err := CheckAPI(v.APIVersion); err != nil {
		return Version{}, err
	}
	return Version{API: c.api.ClientVersion(), Engine: v.Version}, nil
}

// Objects implements Engine.
func (c *Client) Objects(ctx context.Context, kind Kind, labels ...string) ([]Object, error) {
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	args := filters.NewArgs()
	for _, l := range labels {
		args.Add("label", l)
	}
	var (
		out []Object
		err error
	)
	switch kind {
	case KindContainer:
		var list []container.Summary
		list, err = c.api.ContainerList(ctx, container.ListOptions{All: true, Filters: args})
		for _, s := range list {
			o := Object{Kind: kind, ID: s.ID, Labels: s.Labels, State: ParseState(string(s.State)), Image: s.ImageID}
			for _, n := range s.Names {
				o.Names = append(o.Names, strings.TrimPrefix(n, "/"))
			}
			for _, m := range s.Mounts {
				if m.Name != "" {
					o.Volumes = append(o.Volumes, m.Name)
				}
			}
			if s.NetworkSettings != nil {
				for name, endpoint := range s.NetworkSettings.Networks {
					o.Networks = append(o.Networks, name)
					if endpoint != nil && endpoint.NetworkID != "" {
						o.Networks = append(o.Networks, endpoint.NetworkID)
					}
				}
			}
			out = append(out, o)
		}
	case KindImage:
		var list []image.Summary
		list, err = c.api.ImageList(ctx, image.ListOptions{Filters: args})
		for _, s := range list {
			out = append(out, Object{Kind: kind, ID: s.ID, Names: Tags(s.RepoTags), Labels: s.Labels, Bytes: s.Size})
		}
	case KindVolume:
		var list volume.ListResponse
		list, err = c.api.VolumeList(ctx, volume.ListOptions{Filters: args})
		for _, v := range list.Volumes {
			out = append(out, Object{Kind: kind, ID: v.Name, Names: []string{v.Name}, Labels: v.Labels})
		}
	case KindNetwork:
		var list []network.Summary
		list, err = c.api.NetworkList(ctx, network.ListOptions{Filters: args})
		for _, n := range list {
			out = append(out, Object{Kind: kind, ID: n.ID, Names: []string{n.Name}, Labels: n.Labels})
		}
	default:
		err = fmt.Errorf("%q is not a kind of object", kind)
	}
	if err != nil {
		return nil, engineError("list", string(kind)+"s", err)
	}
	return out, nil
}

// Inspect implements Engine.
func (c *Client) Inspect(ctx context.Context, id string) (Container, error) {
	if err := c.connect(ctx); err != nil {
		return Container{}, err
	}
	_, raw, err := c.api.ContainerInspectWithRaw(ctx, id, false)
	if err != nil {
		return Container{}, engineError("inspect", id, err)
	}
	got, err := ReadContainer(raw)
	return got, engineError("inspect", id, err)
}

// Image implements Engine.
func (c *Client) Image(ctx context.Context, ref string) (Image, error) {
	if err := c.connect(ctx); err != nil {
		return Image{}, err
	}
	var raw bytes.Buffer
	got, err := c.api.ImageInspect(ctx, ref, client.ImageInspectWithRawResponse(&raw))
	if err != nil {
		return Image{}, engineError("inspect image", ref, err)
	}
	img := Image{ID: got.ID, Tags: Tags(got.RepoTags), Raw: raw.Bytes()}
	if got.Config != nil {
		img.Labels = got.Config.Labels
	}
	return img, nil
}

// Create implements Engine. An engine before API 1.44 takes one network in this
// call; the others are connected after it.
func (c *Client) Create(ctx context.Context, spec Spec) (string, error) {
	if err := c.connect(ctx); err != nil {
		return "", err
	}
	var req container.CreateRequest
	if err := json.Unmarshal(spec.Body, &req); err != nil {
		return "", engineError("create", spec.Name, err)
	}
	if req.Config == nil || req.HostConfig == nil {
		return "", engineError("create", spec.Name, errors.New("the body has no Config or no HostConfig"))
	}
	first, rest := req.NetworkingConfig, map[string]*network.EndpointSettings(nil)
	if first != nil && len(first.EndpointsConfig) > 1 {
		rest = first.EndpointsConfig
		main := FirstNetwork(string(req.HostConfig.NetworkMode), rest)
		first = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{main: rest[main]}}
		delete(rest, main)
	}
	made, err := c.api.ContainerCreate(ctx, req.Config, req.HostConfig, first, nil, spec.Name)
	if err != nil {
		return "", engineError("create", spec.Name, err)
	}
	for name, endpoint := range rest {
		if err := c.api.NetworkConnect(ctx, name, made.ID, endpoint); err != nil {
			undo := c.Remove(context.WithoutCancel(ctx), KindContainer, made.ID)
			return "", errors.Join(engineError("connect", name, err), undo)
		}
	}
	return made.ID, nil
}

// Start implements Engine.
func (c *Client) Start(ctx context.Context, id string) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	return engineError("start", id, c.api.ContainerStart(ctx, id, container.StartOptions{}))
}

// Stop implements Engine.
func (c *Client) Stop(ctx context.Context, id string, grace time.Duration) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	seconds := Seconds(grace)
	return engineError("stop", id, c.api.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds}))
}

// Signal implements Engine.
func (c *Client) Signal(ctx context.Context, id, signal string) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	err := engineError("signal", id, c.api.ContainerKill(ctx, id, signal))
	return NotRunning(err)
}

// Rename implements Engine.
func (c *Client) Rename(ctx context.Context, id, name string) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	return engineError("rename", id, c.api.ContainerRename(ctx, id, name))
}

// Update implements Engine.
func (c *Client) Update(ctx context.Context, id string, change Change) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	var u container.UpdateConfig
	if l := change.Limits; l != nil {
		u.Memory, u.MemorySwap, u.NanoCPUs = l.Memory, l.Swap, int64(l.CPUs*1e9)
	}
	if p := change.Policy; p != nil {
		u.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyMode(p.Name), MaximumRetryCount: p.Retries}
	}
	_, err := c.api.ContainerUpdate(ctx, id, u)
	return engineError("update", id, err)
}

// Remove implements Engine.
func (c *Client) Remove(ctx context.Context, kind Kind, name string) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	var err error
	switch kind {
	case KindContainer:
		err = c.api.ContainerRemove(ctx, name, container.RemoveOptions{})
	case KindImage:
		_, err = c.api.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
	case KindVolume:
		err = c.api.VolumeRemove(ctx, name, false)
	case KindNetwork:
		err = InUse(c.api.NetworkRemove(ctx, name))
	default:
		err = fmt.Errorf("%q is not a kind of object", kind)
	}
	return engineError("remove "+string(kind), name, err)
}

// Tag implements Engine.
func (c *Client) Tag(ctx context.Context, img, ref string) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	return engineError("tag", img, c.api.ImageTag(ctx, img, ref))
}

// Exec implements Engine.
func (c *Client) Exec(ctx context.Context, id string, command []string, stdout, stderr io.Writer) (int, error) {
	if err := c.connect(ctx); err != nil {
		return -1, err
	}
	made, err := c.api.ContainerExecCreate(ctx, id, container.ExecOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return -1, NotRunning(engineError("exec", id, err))
	}
	conn, err := c.api.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return -1, engineError("exec", id, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Close)()
	if err := Split(conn.Reader, stdout, stderr); err != nil {
		return -1, engineError("exec", id, errors.Join(ctx.Err(), err))
	}
	got, err := c.api.ContainerExecInspect(ctx, made.ID)
	if err == nil && got.Running {
		err = errors.New("it goes on without its streams, so its exit code is not known")
	}
	if err != nil {
		return -1, engineError("exec", id, err)
	}
	return got.ExitCode, nil
}

// Logs implements Engine.
func (c *Client) Logs(ctx context.Context, id string, q LogQuery, stdout, stderr io.Writer) error {
	is, err := c.Inspect(ctx, id)
	if err != nil {
		return err
	}
	opts := container.LogsOptions{ShowStdout: stdout != nil, ShowStderr: stderr != nil, Follow: q.Follow, Timestamps: q.Timestamps}
	if q.Tail > 0 {
		opts.Tail = strconv.Itoa(q.Tail)
	}
	if !q.Since.IsZero() {
		opts.Since = q.Since.Format(time.RFC3339Nano)
	}
	if !q.Until.IsZero() {
		opts.Until = q.Until.Format(time.RFC3339Nano)
	}
	r, err := c.api.ContainerLogs(ctx, id, opts)
	if err != nil {
		return engineError("logs", id, err)
	}
	if is.TTY && stdout != nil {
		_, err = io.Copy(stdout, r)
	} else {
		err = Split(r, stdout, stderr)
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return engineError("logs", id, errors.Join(err, r.Close()))
}

// Stats implements Engine.
func (c *Client) Stats(ctx context.Context, id string) (Stats, error) {
	if err := c.connect(ctx); err != nil {
		return Stats{}, err
	}
	r, err := c.api.ContainerStatsOneShot(ctx, id)
	if err != nil {
		return Stats{}, engineError("stats", id, err)
	}
	raw, err := io.ReadAll(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return Stats{}, engineError("stats", id, err)
	}
	got, err := ReadStats(raw)
	return got, engineError("stats", id, err)
}

// Top implements Engine.
func (c *Client) Top(ctx context.Context, id string) (Processes, error) {
	if err := c.connect(ctx); err != nil {
		return Processes{}, err
	}
	got, err := c.api.ContainerTop(ctx, id, nil)
	if err != nil {
		return Processes{}, NotRunning(engineError("top", id, err))
	}
	return Processes{Titles: got.Titles, Rows: got.Processes}, nil
}

// engineError makes an *EngineError of what the client says; nil stays nil.
func engineError(op, object string, err error) error {
	return Classify(op, object, err, client.IsErrConnectionFailed(err))
}

// Classify makes an *EngineError of what a client says; adapters use it. Nil stays
// nil. The client knows best whether it could connect.
func Classify(op, object string, err error, unreachable bool) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*EngineError](err); ok {
		return e
	}
	e := &EngineError{Op: op, Object: object, Err: err}
	_, network := errors.AsType[*net.OpError](err)
	text := err.Error()
	switch {
	case errors.Is(err, ErrNotRunning):
		e.Kind = ErrNotRunning
	case strings.Contains(text, "client version") && strings.Contains(text, "too "):
		e.Kind = ErrTooOld
	case errdefs.IsNotFound(err):
		e.Kind = ErrNotFound
	case errdefs.IsConflict(err) || errors.Is(err, ErrConflict):
		e.Kind = ErrConflict
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded): // the caller's own
	case unreachable || network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		e.Kind = ErrEngineGone
	}
	return e
}

// InUse makes ErrConflict of what an engine says of a network that running containers
// are in, which it forbids to remove; adapters use it.
func InUse(err error) error {
	if err != nil && strings.Contains(err.Error(), "active endpoints") {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}

// NotRunning makes ErrNotRunning of the conflict by which an engine says so;
// adapters use it.
func NotRunning(err error) error {
	if e, ok := errors.AsType[*EngineError](err); ok && e.Err != nil && strings.Contains(e.Err.Error(), "is not running") {
		e.Kind = ErrNotRunning
	}
	return err
}

// Tags leaves out the name that an engine gives to an image without one; adapters
// use it.
func Tags(refs []string) []string {
	var out []string
	for _, r := range refs {
		if r != "<none>:<none>" {
			out = append(out, r)
		}
	}
	return out
}

// Seconds is a grace in the engine's unit, rounded up; adapters use it.
func Seconds(d time.Duration) int { return int((max(d, 0) + time.Second - 1) / time.Second) }

// FirstNetwork chooses the network that a container is made in: the one of its
// mode, else the first by name; adapters use it.
func FirstNetwork[E any](mode string, networks map[string]E) string {
	if _, ok := networks[mode]; ok {
		return mode
	}
	first := ""
	for name := range networks {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}
