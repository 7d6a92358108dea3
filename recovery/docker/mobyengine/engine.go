package mobyengine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon/recovery/docker"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Engine is a docker.Engine on Moby's client. It is safe for concurrent use.
type Engine struct {
	api   *client.Client
	ready atomic.Bool // the version of the API has been agreed on
}

var _ docker.Engine = (*Engine)(nil)

// Dial returns an engine at a host, such as "unix:///var/run/docker.sock", or the
// one that the environment names (DOCKER_HOST and its like) when host is empty. It
// does not connect. Close it.
func Dial(host string) (*Engine, error) {
	opts := []client.Opt{client.FromEnv}
	if host != "" {
		opts = append(opts, client.WithHost(host))
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("moby client: %w", err)
	}
	return &Engine{api: api}, nil
}

// Close ends the idle connections.
func (e *Engine) Close() error { return e.api.Close() }

// connect agrees on a version of the API.
func (e *Engine) connect(ctx context.Context) error {
	if e.ready.Load() {
		return nil
	}
	pong, err := e.api.Ping(ctx, client.PingOptions{})
	if err != nil {
		return fail("ping", "", err)
	}
	if err := docker.CheckAPI(pong.APIVersion); err != nil {
		return err
	}
	if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return fail("ping", "", err)
	}
	e.ready.Store(true)
	return nil
}

// Version implements docker.Engine.
func (e *Engine) Version(ctx context.Context) (docker.Version, error) {
	if err := e.connect(ctx); err != nil {
		return docker.Version{}, err
	}
	v, err := e.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return docker.Version{}, fail("version", "", err)
	}
	if err := docker.CheckAPI(v.APIVersion); err != nil {
		return docker.Version{}, err
	}
	return docker.Version{API: e.api.ClientVersion(), Engine: v.Version}, nil
}

// Objects implements docker.Engine.
func (e *Engine) Objects(ctx context.Context, kind docker.Kind, labels ...string) ([]docker.Object, error) {
	if err := e.connect(ctx); err != nil {
		return nil, err
	}
	filters := make(client.Filters)
	if len(labels) > 0 {
		filters.Add("label", labels...)
	}
	var (
		out []docker.Object
		err error
	)
	switch kind {
	case docker.KindContainer:
		var list client.ContainerListResult
		list, err = e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
		for _, s := range list.Items {
			out = append(out, summary(s))
		}
	case docker.KindImage:
		var list client.ImageListResult
		list, err = e.api.ImageList(ctx, client.ImageListOptions{Filters: filters})
		for _, s := range list.Items {
			out = append(out, docker.Object{Kind: kind, ID: s.ID, Names: docker.Tags(s.RepoTags), Labels: s.Labels, Bytes: s.Size})
		}
	case docker.KindVolume:
		var list client.VolumeListResult
		list, err = e.api.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
		for _, v := range list.Items {
			out = append(out, docker.Object{Kind: kind, ID: v.Name, Names: []string{v.Name}, Labels: v.Labels})
		}
	case docker.KindNetwork:
		var list client.NetworkListResult
		list, err = e.api.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
		for _, n := range list.Items {
			out = append(out, docker.Object{Kind: kind, ID: n.ID, Names: []string{n.Name}, Labels: n.Labels})
		}
	default:
		err = fmt.Errorf("%q is not a kind of object", kind)
	}
	if err != nil {
		return nil, fail("list", string(kind)+"s", err)
	}
	return out, nil
}

func summary(s container.Summary) docker.Object {
	o := docker.Object{Kind: docker.KindContainer, ID: s.ID, Labels: s.Labels, State: docker.ParseState(string(s.State)), Image: s.ImageID}
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
	return o
}

// Inspect implements docker.Engine.
func (e *Engine) Inspect(ctx context.Context, id string) (docker.Container, error) {
	if err := e.connect(ctx); err != nil {
		return docker.Container{}, err
	}
	got, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return docker.Container{}, fail("inspect", id, err)
	}
	c, err := docker.ReadContainer(got.Raw)
	return c, fail("inspect", id, err)
}

// Image implements docker.Engine.
func (e *Engine) Image(ctx context.Context, ref string) (docker.Image, error) {
	if err := e.connect(ctx); err != nil {
		return docker.Image{}, err
	}
	var raw bytes.Buffer
	got, err := e.api.ImageInspect(ctx, ref, client.ImageInspectWithRawResponse(&raw))
	if err != nil {
		return docker.Image{}, fail("inspect image", ref, err)
	}
	img := docker.Image{ID: got.ID, Tags: docker.Tags(got.RepoTags), Raw: raw.Bytes()}
	if got.Config != nil {
		img.Labels = got.Config.Labels
	}
	return img, nil
}

// Create implements docker.Engine. An engine before API 1.44 takes one network in
// this call; the others are connected after it.
func (e *Engine) Create(ctx context.Context, spec docker.Spec) (string, error) {
	if err := e.connect(ctx); err != nil {
		return "", err
	}
	var req container.CreateRequest
	if err := json.Unmarshal(spec.Body, &req); err != nil {
		return "", fail("create", spec.Name, err)
	}
	if req.Config == nil || req.HostConfig == nil {
		return "", fail("create", spec.Name, errors.New("the body has no Config or no HostConfig"))
	}
	first, rest := req.NetworkingConfig, map[string]*network.EndpointSettings(nil)
	if first != nil && len(first.EndpointsConfig) > 1 {
		rest = first.EndpointsConfig
		main := docker.FirstNetwork(string(req.HostConfig.NetworkMode), rest)
		first = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{main: rest[main]}}
		delete(rest, main)
	}
	made, err := e.api.ContainerCreate(ctx, client.ContainerCreateOptions{Config: req.Config, HostConfig: req.HostConfig, NetworkingConfig: first, Name: spec.Name})
	if err != nil {
		return "", fail("create", spec.Name, err)
	}
	for name, endpoint := range rest {
		if _, err := e.api.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: made.ID, EndpointConfig: endpoint}); err != nil {
			undo := e.Remove(context.WithoutCancel(ctx), docker.KindContainer, made.ID)
			return "", errors.Join(fail("connect", name, err), undo)
		}
	}
	return made.ID, nil
}

// Start implements docker.Engine.
func (e *Engine) Start(ctx context.Context, id string) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	_, err := e.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return fail("start", id, err)
}

// Stop implements docker.Engine.
func (e *Engine) Stop(ctx context.Context, id string, grace time.Duration) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	seconds := docker.Seconds(grace)
	_, err := e.api.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &seconds})
	return fail("stop", id, err)
}

// Signal implements docker.Engine.
func (e *Engine) Signal(ctx context.Context, id, signal string) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	_, err := e.api.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
	return docker.NotRunning(fail("signal", id, err))
}

// Rename implements docker.Engine.
func (e *Engine) Rename(ctx context.Context, id, name string) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	_, err := e.api.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: name})
	return fail("rename", id, err)
}

// Update implements docker.Engine.
func (e *Engine) Update(ctx context.Context, id string, change docker.Change) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	var u client.ContainerUpdateOptions
	if l := change.Limits; l != nil {
		u.Resources = &container.Resources{Memory: l.Memory, MemorySwap: l.Swap, NanoCPUs: int64(l.CPUs * 1e9)}
	}
	if p := change.Policy; p != nil {
		u.RestartPolicy = &container.RestartPolicy{Name: container.RestartPolicyMode(p.Name), MaximumRetryCount: p.Retries}
	}
	_, err := e.api.ContainerUpdate(ctx, id, u)
	return fail("update", id, err)
}

// Remove implements docker.Engine.
func (e *Engine) Remove(ctx context.Context, kind docker.Kind, name string) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	var err error
	switch kind {
	case docker.KindContainer:
		_, err = e.api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{})
	case docker.KindImage:
		_, err = e.api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
	case docker.KindVolume:
		_, err = e.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	case docker.KindNetwork:
		_, err = e.api.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
		err = docker.InUse(err)
	default:
		err = fmt.Errorf("%q is not a kind of object", kind)
	}
	return fail("remove "+string(kind), name, err)
}

// Tag implements docker.Engine.
func (e *Engine) Tag(ctx context.Context, img, ref string) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: img, Target: ref})
	return fail("tag", img, err)
}

// Exec implements docker.Engine.
func (e *Engine) Exec(ctx context.Context, id string, command []string, stdout, stderr io.Writer) (int, error) {
	if err := e.connect(ctx); err != nil {
		return -1, err
	}
	made, err := e.api.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return -1, docker.NotRunning(fail("exec", id, err))
	}
	conn, err := e.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return -1, fail("exec", id, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Close)()
	if err := docker.Split(conn.Reader, stdout, stderr); err != nil {
		return -1, fail("exec", id, errors.Join(ctx.Err(), err))
	}
	got, err := e.api.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err == nil && got.Running {
		err = errors.New("it goes on without its streams, so its exit code is not known")
	}
	if err != nil {
		return -1, fail("exec", id, err)
	}
	return got.ExitCode, nil
}

// Logs implements docker.Engine.
func (e *Engine) Logs(ctx context.Context, id string, q docker.LogQuery, stdout, stderr io.Writer) error {
	is, err := e.Inspect(ctx, id)
	if err != nil {
		return err
	}
	opts := client.ContainerLogsOptions{ShowStdout: stdout != nil, ShowStderr: stderr != nil, Follow: q.Follow, Timestamps: q.Timestamps}
	if q.Tail > 0 {
		opts.Tail = strconv.Itoa(q.Tail)
	}
	if !q.Since.IsZero() {
		opts.Since = q.Since.Format(time.RFC3339Nano)
	}
	if !q.Until.IsZero() {
		opts.Until = q.Until.Format(time.RFC3339Nano)
	}
	r, err := e.api.ContainerLogs(ctx, id, opts)
	if err != nil {
		return fail("logs", id, err)
	}
	if is.TTY && stdout != nil {
		_, err = io.Copy(stdout, r)
	} else {
		err = docker.Split(r, stdout, stderr)
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return fail("logs", id, errors.Join(err, r.Close()))
}

// Stats implements docker.Engine.
func (e *Engine) Stats(ctx context.Context, id string) (docker.Stats, error) {
	if err := e.connect(ctx); err != nil {
		return docker.Stats{}, err
	}
	r, err := e.api.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return docker.Stats{}, fail("stats", id, err)
	}
	raw, err := io.ReadAll(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return docker.Stats{}, fail("stats", id, err)
	}
	got, err := docker.ReadStats(raw)
	return got, fail("stats", id, err)
}

// Top implements docker.Engine.
func (e *Engine) Top(ctx context.Context, id string) (docker.Processes, error) {
	if err := e.connect(ctx); err != nil {
		return docker.Processes{}, err
	}
	got, err := e.api.ContainerTop(ctx, id, client.ContainerTopOptions{})
	if err != nil {
		return docker.Processes{}, docker.NotRunning(fail("top", id, err))
	}
	return docker.Processes{Titles: got.Titles, Rows: got.Processes}, nil
}

// fail makes a *docker.EngineError of what the client says; nil stays nil.
func fail(op, object string, err error) error {
	return docker.Classify(op, object, err, client.IsErrConnectionFailed(err))
}
