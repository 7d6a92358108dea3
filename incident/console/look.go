package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
)

// errUnlooked says that nobody has looked yet.
var errUnlooked = errors.New("not looked at yet")

// sight is what was last seen of something, and when.
type sight[T any] struct {
	mu   sync.Mutex
	last T
	at   time.Time // when it was last seen; zero: never
	err  error     // of the last look
}

func (s *sight[T]) set(v T, at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if err == nil {
		s.last, s.at = v, at
	}
}

// value returns what was seen and when. The error says why it is not known now: the last
// look failed, or was too long ago; what was seen before stands beside it.
func (s *sight[T]) value(now time.Time, fresh time.Duration) (T, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.err
	switch {
	case err != nil:
	case s.at.IsZero():
		err = errUnlooked
	case now.Sub(s.at) > fresh:
		err = fmt.Errorf("last looked at %s", s.at.UTC().Format(time.TimeOnly))
	}
	return s.last, s.at, err
}

// account is what one venue holds.
type account struct {
	report safety.ProtectionReport
}

// sightings is what Run has seen. Its slice and map are made by New and not changed after.
type sightings struct {
	exchanges []sight[string]
	accounts  map[string]*sight[account]
	backups   sight[[]recovery.Compliance]
	begun     sight[time.Time]
}

func (s *sightings) exchange(i int) *sight[string] { return &s.exchanges[i] }

// beginning is the time of the first event on record; zero: not known.
func (s *sightings) beginning() time.Time {
	s.begun.mu.Lock()
	defer s.begun.mu.Unlock()
	return s.begun.last
}

// lookAtExchange asks one status page. Whatever is not a plain answer is unknown.
func (c *Console) lookAtExchange(ctx context.Context, i int) {
	e := c.cfg.Exchanges[i]
	if e.API == "" {
		c.seen.exchanges[i].set("", time.Time{}, errors.New("no address to ask"))
		return
	}
	var state string
	err := c.bounded(ctx, e.Name, func(ctx context.Context) (err error) {
		state, err = ask(ctx, c.cfg.Client, e.API)
		return err
	})
	if err != nil && ctx.Err() == nil {
		c.cfg.Log.Warn("console: status page of an exchange", "exchange", e.Name, "err", err)
	}
	c.seen.exchanges[i].set(state, time.Now(), err)
}

// indicators are the words of statuspage.io, and ours for them. Any other is unknown.
var indicators = map[string]string{
	"none": "operational", "minor": "minor", "major": "major", "critical": "critical", "maintenance": "maintenance",
}

// maxAnswer is the longest answer of a status page that is read, in bytes.
const maxAnswer = 64 << 10

func ask(ctx context.Context, client *http.Client, address string) (state string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it answered %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return "", err
	}
	if len(body) > maxAnswer {
		return "", fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
	}
	var got struct {
		Status struct {
			Indicator string `json:"indicator"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return "", fmt.Errorf("its answer cannot be read: %w", err)
	}
	state, ok := indicators[got.Status.Indicator]
	if !ok {
		return "", fmt.Errorf("its indicator %.40q is none that is known", got.Status.Indicator)
	}
	return state, nil
}

func (c *Console) lookAtAccount(ctx context.Context, name string) {
	var got account
	err := c.bounded(ctx, name, func(ctx context.Context) (err error) {
		got.report, err = safety.ReadProtection(ctx, c.cfg.Accounts[name], c.cfg.Requirements, time.Now())
		return err
	})
	c.seen.accounts[name].set(got, time.Now(), err)
}

func (c *Console) lookAtBackups(ctx context.Context) {
	var got []recovery.Compliance
	err := c.bounded(ctx, "the catalog", func(ctx context.Context) error {
		got = c.cfg.Catalog.Compliance(ctx, time.Now())
		return ctx.Err()
	})
	c.seen.backups.set(got, time.Now(), err)
}

// lookAtBeginning finds out since when there is a record.
func (c *Console) lookAtBeginning(ctx context.Context) {
	if !c.seen.beginning().IsZero() {
		return
	}
	err := c.bounded(ctx, "the timeline", func(ctx context.Context) error {
		for e, err := range c.cfg.Timeline.Read(ctx, 0) {
			if err == nil {
				c.seen.begun.set(e.At, time.Now(), nil)
			}
			return err
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		c.cfg.Log.Warn("console: the beginning of the timeline", "err", err)
	}
}
