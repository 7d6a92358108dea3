package notify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// delivery is one message on its way to one contact over several routes.
type delivery struct {
	courier *Courier
	message Message
	routes  []Address
	started int          // routes that have been started: routes[:started]
	ended   chan Attempt // a route has accepted or given up
	struck  chan int     // the first try of this route has failed
}

// run starts the first route and each later one when it is its turn, and yields
// the outcome of each route as it ends.
func (d *delivery) run(ctx context.Context) iter.Seq[Attempt] {
	return func(yield func(Attempt) bool) {
		patience := time.NewTimer(d.courier.cfg.Patience)
		defer patience.Stop()
		for ended := 0; ended < len(d.routes); {
			if d.started == 0 {
				d.startNext(ctx, patience)
			}
			select {
			case a := <-d.ended:
				ended++
				if !yield(a) {
					return
				}
			case i := <-d.struck:
				if i+1 == d.started { // else the next one has started for want of patience
					d.startNext(ctx, patience)
				}
			case <-patience.C:
				d.startNext(ctx, patience)
			}
		}
	}
}

// startNext starts the next route, if there is one, and gives it its own patience.
func (d *delivery) startNext(ctx context.Context, patience *time.Timer) {
	if d.started == len(d.routes) {
		return
	}
	i := d.started
	d.started++
	patience.Reset(d.courier.cfg.Patience)
	go func() { d.ended <- d.courier.route(ctx, d.routes[i], d.message, func() { d.struck <- i }) }()
}

// route tries one address until it accepts, refuses for good, or has had its
// tries or its time. It calls struck after the first failure, or once it has to wait
// because the receiver has asked for silence.
func (c *Courier) route(ctx context.Context, to Address, m Message, struck func()) Attempt {
	a := Attempt{Address: to}
	m.To = to.To
	struck = sync.OnceFunc(struck)
	wait := c.newWait(ctx)
	target := c.targets.get(to)
	try := func() error {
		// While the receiver wants silence the next channel takes over.
		if err := target.wait(ctx, m.rank(), struck); err != nil {
			struck()
			wait.over = true
			if a.Err == nil || retryAfter(err) > 0 { // else the receiver's own answer says more
				a.Err = err
			}
			return a.Err
		}
		a.Tries++
		a.Err = c.cfg.redactError(c.try(ctx, to.Channel, m))
		if wait.hint = retryAfter(a.Err); wait.hint > 0 && !errors.Is(a.Err, ErrPermanent) {
			target.close(time.Now().Add(wait.hint)) // for every message that goes there
		}
		if a.Err != nil {
			struck() // behind close: the next channel may take it at once, and the caller send another
		}
		if errors.Is(a.Err, ErrPermanent) {
			return backoff.Permanent(a.Err)
		}
		return a.Err
	}
	// Its error is a.Err, or the end of ctx while waiting: the last answer says more.
	_ = backoff.Retry(try, backoff.WithContext(backoff.WithMaxRetries(wait, uint64(c.cfg.Tries-1)), ctx))
	a.At = time.Now()
	return a
}

// try makes one try within Timeout. It returns when the time is up even where the
// notifier does not, and a notifier that panics has only failed: the other
// channels still have a page to deliver.
func (c *Courier) try(ctx context.Context, channel string, m Message) (err error) {
	ctx, end := c.telemetry.try(ctx, channel, m)
	defer func() { end(err) }()
	n, ok := c.cfg.Channels[channel]
	if !ok {
		return &DeliveryError{Permanent: true, Err: fmt.Errorf("there is no channel %q", channel)}
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				answer <- &DeliveryError{Err: fmt.Errorf("notifier panicked: %v", p)}
			}
		}()
		answer <- n.Notify(ctx, m)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return &DeliveryError{Err: fmt.Errorf("no answer, and it may still arrive: %w", ctx.Err())}
	}
}

// obedientWait is a backoff in which the receiver's wish wins over the wait that
// was computed, and no wait is begun that would outlast the budget.
type obedientWait struct {
	backoff.BackOff
	hint     time.Duration
	over     bool // its turn does not come within the budget
	deadline time.Time
}

func (c *Courier) newWait(ctx context.Context) *obedientWait {
	deadline, _ := ctx.Deadline() // Deliver has set one
	return &obedientWait{deadline: deadline, BackOff: backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(c.cfg.FirstWait),
		backoff.WithMaxInterval(c.cfg.MaxWait),
		backoff.WithMultiplier(2),
		backoff.WithMaxElapsedTime(0), // the budget bounds it
	)}
}

// NextBackOff returns how long to wait before the next try, or backoff.Stop.
func (w *obedientWait) NextBackOff() time.Duration {
	d := w.BackOff.NextBackOff()
	if w.hint > 0 {
		d = w.hint
	}
	if w.over || time.Until(w.deadline) <= d {
		return backoff.Stop
	}
	return d
}

// retryAfter returns what the receiver asked for, or zero.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*DeliveryError](err); ok {
		return e.RetryAfter
	}
	return 0
}
