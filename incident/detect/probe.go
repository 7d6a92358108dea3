package detect

import (
	"context"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/andon-go/andon/severity"
)

// probe calls the probe of an indicator, at once and every Every, until ctx is done. A
// call that is late is left to itself: until it returns, each time it should have been
// made is a sample that could not be read.
func (d *Detector) probe(ctx context.Context, ind *Indicator) {
	t := time.NewTicker(ind.Every)
	defer t.Stop()
	running := make(chan struct{}, 1) // holds a token while a call is under way
	for {
		select {
		case running <- struct{}{}:
			d.probeOnce(ctx, ind, running)
		default:
			d.take(ctx, ind, severity.Value{}, fmt.Sprintf("the probe has not returned after more than %v", ind.Within))
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (d *Detector) probeOnce(ctx context.Context, ind *Indicator, running <-chan struct{}) {
	type answer struct {
		v      severity.Value
		detail string
		err    error
	}
	within, cancel := context.WithTimeout(ctx, ind.Within)
	defer cancel()
	got := make(chan answer, 1)
	began := time.Now()
	go func() {
		var a answer
		a.err = guard(func() (err error) { a.v, a.detail, err = ind.Probe(within); return err })
		<-running
		got <- a
	}()
	select {
	case a := <-got:
		d.meter.took(ind, time.Since(began))
		if a.err != nil {
			a.v, a.detail = severity.Value{}, a.err.Error()
		}
		d.take(ctx, ind, a.v, a.detail)
	case <-within.Done():
		d.meter.took(ind, time.Since(began))
		d.take(ctx, ind, severity.Value{}, fmt.Sprintf("the probe has not returned after %v", ind.Within))
	}
}

// take feeds what a probe measured. What was cut short because the detector ends says
// nothing.
func (d *Detector) take(ctx context.Context, ind *Indicator, v severity.Value, detail string) {
	if ctx.Err() != nil {
		return
	}
	if err := d.feed(key{ind.Rule.Name, ind.Component}, Sample{Value: v, At: time.Now(), Detail: detail}); err != nil {
		panic(err) // its series was made by New and is never dropped
	}
}

// Failing is a probe of something that works or does not: 0 while look returns nil, 1
// with its error as the detail while it does not.
func Failing(look func(ctx context.Context) error) Probe {
	return func(ctx context.Context) (severity.Value, string, error) {
		if err := look(ctx); err != nil {
			return severity.Number(1), err.Error(), nil
		}
		return severity.Number(0), "", nil
	}
}

// Counting is a probe of how many things there are that should not be, such as rows that
// fail an integrity check.
func Counting(count func(ctx context.Context) (n int, detail string, err error)) Probe {
	return func(ctx context.Context) (severity.Value, string, error) {
		n, detail, err := count(ctx)
		return severity.Number(int64(n)), detail, err
	}
}

// Latency is a probe of how long a call takes, such as one to an exchange. A call that
// fails has no latency.
func Latency(call func(ctx context.Context) error) Probe {
	return func(ctx context.Context) (severity.Value, string, error) {
		began := time.Now()
		err := call(ctx)
		return severity.Took(time.Since(began)), "", err
	}
}

// Age is a probe of how long ago something was last heard of, such as a message of a
// WebSocket. A zero time is one that never was, and so is unknown.
func Age(last func() time.Time) Probe {
	return func(context.Context) (severity.Value, string, error) {
		at := last()
		if at.IsZero() {
			return severity.Value{}, "nothing was heard yet", nil
		}
		return severity.Took(max(time.Since(at), 0)), "last heard of at " + at.UTC().Format(time.RFC3339Nano), nil
	}
}

// HTTP is a probe of a health check: 0 while GET answers 200 to 299, else 1. Redirects are
// not followed, since what answers then is something else.
func HTTP(url string) Probe {
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true}, // a connection kept from before proves little
	}
	return Failing(func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil {
			return err
		}
		if res.StatusCode < 200 || res.StatusCode > 299 {
			return fmt.Errorf("GET %s answers %s", url, res.Status)
		}
		return nil
	})
}

const maxDetail = 500 // bytes of a detail that are kept

// clip cuts a text to the bytes that are kept, at a rune.
func clip(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	n := maxDetail
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
