package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/andon-go/andon/notify"
)

const (
	maxBody   = 4 << 20          // bytes of a request
	maxBusy   = 32               // commands at once, but for stop and status
	stopIn    = 30 * time.Second // how long one stop may take: longer than the switch's own bounds
	longIn    = 15 * time.Minute // a close-all, a backup, a drill, an archive
	endWithin = 10 * time.Second // for commands that run when the server ends
)

// Server answers a command line for one bot. New makes one, Run serves. Safe for concurrent
// use.
type Server struct {
	cfg      Config
	commands map[string]command
	busy     chan struct{}
	running  atomic.Bool
}

// performer is a command over the bytes of its request.
type performer = func(ctx context.Context, body []byte) (any, error)

// command is what a name on the wire does.
type command struct {
	run    performer
	within time.Duration
	free   bool // never waits for others
	anyhow bool // is done whatever is wrong with its request
	keep   bool // goes on when the client hangs up
}

// New returns a Server, or every problem of cfg joined. It starts nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Within == 0 {
		cfg.Within = 2 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Server{cfg: cfg, busy: make(chan struct{}, maxBusy)}
	s.commands = s.table()
	return s, nil
}

// connKey is under which a connection's peer lies in its context.
type connKey struct{}

// who is at the other end of a connection.
type who struct {
	uid, pid int
	err      error
}

// Run serves until ctx ends. It is ErrInUse where a bot that runs has the socket, and
// errors.ErrUnsupported where the system does not say who is at the other end.
func (s *Server) Run(ctx context.Context) error {
	if !supported {
		return fmt.Errorf("control: nobody can be told apart at a socket here: %w", errors.ErrUnsupported)
	}
	if !s.running.CompareAndSwap(false, true) {
		return fmt.Errorf("control: %s: %w", s.cfg.Path, ErrInUse)
	}
	defer s.running.Store(false)
	l, free, err := listen(s.cfg.Path)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 8 << 10,
		ErrorLog:       slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelError), // a command that panics
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			w := who{err: errors.New("not a Unix socket")}
			if u, ok := c.(*net.UnixConn); ok {
				w.uid, w.pid, w.err = peer(u)
			}
			return context.WithValue(ctx, connKey{}, w)
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		within, stop := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer stop()
		if err = server.Shutdown(within); err != nil {
			err = errors.Join(fmt.Errorf("control: commands are under way still: %w", err), server.Close())
		}
		if serve := <-ended; !errors.Is(serve, http.ErrServerClosed) {
			err = errors.Join(err, serve)
		}
	}
	return errors.Join(err, free())
}

// ServeHTTP answers one command.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	out, err := s.serve(r, name)
	var body []byte
	if err == nil {
		if body, err = json.Marshal(out); err != nil {
			err = as(ErrOutcome, fmt.Errorf("it was done, and the answer cannot be written: %w", err))
		}
	}
	status := http.StatusOK
	if err != nil {
		status = http.StatusConflict
		if errors.Is(err, ErrForbidden) {
			status = http.StatusForbidden
		}
		// A Detail comes with an error where there is something to show all the same.
		answer := failure{Code: code(err), Text: notify.Redact(err.Error())}
		if d, ok := errors.AsType[*detailed](err); ok {
			answer.Detail, _ = json.Marshal(d.detail) // without it the error stands
		}
		body, _ = json.Marshal(answer) // of strings, and of what was marshalled before
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone does not want it
}

// failure is an error on the wire.
type failure struct {
	Code   string          `json:"code"`
	Text   string          `json:"error"`
	Detail json.RawMessage `json:"detail,omitempty"`
}

// detailed is an error beside which there is an answer.
type detailed struct {
	error
	detail any
}

func (d *detailed) Unwrap() error { return d.error }

func (s *Server) serve(r *http.Request, name string) (any, error) {
	peer, ok := r.Context().Value(connKey{}).(who)
	switch {
	case !ok:
		return nil, as(ErrForbidden, errors.New("not known who asks: only Run's own connections say it"))
	case peer.err != nil:
		return nil, as(ErrForbidden, fmt.Errorf("not known who asks: %w", peer.err))
	case peer.uid != os.Geteuid() && peer.uid != 0:
		s.cfg.Log.Warn("control: somebody else has reached the socket", "uid", peer.uid, "pid", peer.pid, "command", name)
		return nil, as(ErrForbidden, fmt.Errorf("user %d is not the owner of this bot", peer.uid))
	case r.Method != http.MethodPost:
		return nil, as(ErrBad, fmt.Errorf("method %s, want POST", r.Method))
	}
	c, ok := s.commands[name]
	if !ok {
		return nil, as(ErrBad, fmt.Errorf("there is no command %q: is the bot older than the command line?", name))
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil && !c.anyhow {
		return nil, as(ErrBad, fmt.Errorf("request: %w", err))
	}
	if !c.free {
		select {
		case s.busy <- struct{}{}:
			defer func() { <-s.busy }()
		default:
			return nil, as(ErrRefused, fmt.Errorf("%d commands are under way: try again", maxBusy))
		}
	}
	ctx := r.Context()
	if c.keep {
		ctx = context.WithoutCancel(ctx)
		s.cfg.Log.Info("control: a command was given", "command", name, "uid", peer.uid, "pid", peer.pid)
	}
	within := c.within
	if within == 0 {
		within = s.cfg.Within
	}
	ctx, stop := context.WithTimeout(ctx, within)
	defer stop()
	return c.run(ctx, body)
}

// handle makes a command of a function. A request with a field that it does not know is
// refused: half of what was meant is not what was meant.
func handle[Req, Resp any](run func(ctx context.Context, req Req) (Resp, error)) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, body []byte) (any, error) {
		var req Req
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&req); err != nil {
			return nil, as(ErrBad, fmt.Errorf("request: %w", err))
		}
		return run(ctx, req)
	}
}
