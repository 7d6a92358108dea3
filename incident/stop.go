package incident

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// haltDue announces that a gate is to be closed, and keeps Run from doing it too.
// It is false where the gate was closed before: somebody may have opened it since,
// so it is closed again, but that is not news. Called with mu held.
func (m *Manager) haltDue(number, why string) bool {
	m.busy["halt/"+number] = true
	if m.board.incidents[number].Gate == GateClosed {
		return false
	}
	m.put(Event{At: m.now(), Incident: number, Kind: HaltDue, By: self, What: "the gate is to be closed", Why: why})
	return true
}

// stop closes the gate for a caller who waits, after haltDue. Called without mu.
func (m *Manager) stop(ctx context.Context, number string, news bool) error {
	defer m.free(number, "halt/"+number)
	if err := m.halt(ctx, number, news); err != nil {
		return fmt.Errorf("%s: %w", number, err)
	}
	return nil
}

// halt closes the gate and waits for its answer within HaltWithin; the error is
// ErrStopUnconfirmed. It is the answer of this process's own gate, and never what the
// board says: on a shared store the gates of other processes stand there, too. An answer
// that comes later is taken in when it comes. Called without mu.
func (m *Manager) halt(ctx context.Context, number string, news bool) error {
	in, err := m.Get(number)
	if err != nil {
		return err // only numbers on the board come here
	}
	reason := number + ": " + in.Summary
	_, end := m.span(ctx, "incident.halt", number)
	answered := make(chan error, 1)
	go func() {
		err := guard(func() error { return m.cfg.Halter.Engage(self, reason) })
		if news || err != nil {
			m.answered(number, err)
		}
		answered <- err
	}()
	timer := time.NewTimer(m.cfg.HaltWithin)
	defer timer.Stop()
	select {
	case err = <-answered:
	case <-timer.C:
		err = fmt.Errorf("the gate did not answer within %v", m.cfg.HaltWithin)
		m.answered(number, err)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrStopUnconfirmed, err)
	}
	end(err)
	return err
}

// answered takes in what became of a stop.
func (m *Manager) answered(number string, err error) {
	if err != nil {
		m.cfg.Log.Error("incident: STOP NOT CONFIRMED", "incident", number, "error", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	e := Event{At: now, Incident: number, Kind: Halted, By: self, What: "the gate is closed", Why: "the incident stops trading"}
	if err != nil {
		e.Kind, e.What, e.Why = Unconfirmed, ErrStopUnconfirmed.Error(), err.Error()
		e.Data = Data{Error: err.Error(), RetryAt: now.Add(m.cfg.HaltAgain)}
	}
	m.put(e)
}

// guard turns a panic of the consumer's code into an error: a stop or a page that
// panics must not take the others with it.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it panicked: %v", r)
		}
	}()
	return f()
}

// drain waits for the orders that had passed the gate.
func (m *Manager) drain(ctx context.Context, number string) {
	ctx, end := m.span(ctx, "incident.drain", number)
	m.mu.Lock()
	m.put(Event{At: m.now(), Incident: number, Kind: DrainDue, By: self, What: "the orders in flight are waited for", Why: "the gate is closed"})
	m.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, m.cfg.DrainWithin)
	defer cancel()
	var flight []string
	err := guard(func() (err error) {
		flight, err = m.cfg.Halter.Drain(bounded)
		return err
	})
	end(err)
	if ctx.Err() != nil && (err != nil || len(flight) > 0) {
		return // the program ends; the intent is on the timeline, and the next start looks again
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := Event{
		At: m.now(), Incident: number, Kind: Drained, By: self, What: "no order is in flight", Why: "the gate is closed",
		Data: Data{Flight: flight},
	}
	if len(flight) > 0 {
		e.What = fmt.Sprintf("%d orders are in flight: %s", len(flight), strings.Join(flight, ", "))
	}
	if err != nil {
		e.Data.Error = err.Error()
		e.What += "; " + err.Error()
	}
	if err != nil || len(flight) > 0 {
		e.Data.RetryAt = e.At.Add(m.cfg.HaltAgain)
	}
	m.put(e)
}
