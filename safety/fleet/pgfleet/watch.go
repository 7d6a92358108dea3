package pgfleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// listening is the one connection on which every Watch of a backend listens. A halt
// watches for its roster just when the server has a fleet to notify: a connection of its
// own would have the server start a process right then.
type listening struct {
	stop context.CancelFunc
	done chan struct{} // closed once it listens no more
	err  error         // why; read it after done

	mu       sync.Mutex // a watcher is woken with it held, so that none is after it has left
	ready    bool       // nothing is missed from now on
	watchers []*watcher
}

type watcher struct {
	prefix string
	woken  func(key string)
}

// Watch listens on a connection that is not of the pool and that all watches share.
func (b *Backend) Watch(ctx context.Context, prefix string, woken func(key string)) error {
	b.watches.Add(1)
	defer b.watches.Done()
	w := &watcher{prefix, woken}
	l := b.join(w)
	defer b.leave(l, w)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return fmt.Errorf("pgfleet: listen: %w", l.err)
	}
}

// join adds a watcher to the connection, which it opens where there is none.
func (b *Backend) join(w *watcher) *listening {
	b.mu.Lock()
	l := b.listening
	if l == nil {
		var ctx context.Context
		l = &listening{done: make(chan struct{})}
		ctx, l.stop = context.WithCancel(b.closed)
		b.listening = l
		b.watches.Go(func() {
			l.err = b.listen(ctx, l)
			l.stop()
			b.mu.Lock()
			if b.listening == l {
				b.listening = nil
			}
			b.mu.Unlock()
			close(l.done)
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b.mu.Unlock()
	l.watchers = append(l.watchers, w)
	if l.ready {
		w.woken("")
	}
	return l
}

// leave takes a watcher away, and closes the connection with the last one.
func (b *Backend) leave(l *listening, w *watcher) {
	b.mu.Lock()
	l.mu.Lock()
	l.watchers = slices.DeleteFunc(l.watchers, func(o *watcher) bool { return o == w })
	last := len(l.watchers) == 0
	if last && b.listening == l {
		b.listening = nil // whoever comes now opens another
	}
	l.mu.Unlock()
	b.mu.Unlock()
	if last {
		l.stop()
		<-l.done
	}
}

// wake wakes the watchers of a key; all of them where it is empty.
func (l *listening) wake(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
	for _, w := range l.watchers {
		if key == "" || strings.HasPrefix(key, w.prefix) {
			w.woken(key)
		}
	}
}

// listen listens until ctx ends or it cannot go on, and returns why.
func (b *Backend) listen(ctx context.Context, l *listening) error {
	conn, err := pgx.ConnectConfig(ctx, b.dial.Copy())
	if err != nil {
		return err
	}
	defer func() {
		// Politely, but not for long: the connection may be frozen.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 100*time.Millisecond)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+b.channel); err != nil {
		return err
	}
	l.wake("")
	for {
		quiet, done := context.WithTimeout(ctx, b.cfg.PingEvery)
		n, err := conn.WaitForNotification(quiet)
		done()
		switch {
		case err == nil:
			if name, key, ok := strings.Cut(n.Payload, "\n"); ok && name == b.cfg.Fleet {
				l.wake(key)
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case pgconn.Timeout(err):
			if err := b.ping(ctx, conn); err != nil {
				return fmt.Errorf("the connection is silent: %w", err)
			}
		default:
			return err
		}
	}
}

// ping finds out whether there is still a server at the other end.
func (b *Backend) ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.PingEvery)
	defer cancel()
	return conn.Ping(ctx)
}
