package fleettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/safety/fleet"
)

// patience bounds every wait for something that has to come.
const patience = 60 * time.Second

// TestBackend checks that a Backend keeps its contract. fresh is called once for each
// rule and returns what opens a backend on one and the same empty fleet: every call of
// that is another process. A backend that has a Close method is closed with the test.
func TestBackend(t *testing.T, fresh func(t *testing.T) (open func() fleet.Backend)) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			open := fresh(t)
			rule.check(t, func() fleet.Backend {
				b := open()
				if c, ok := b.(interface{ Close() error }); ok {
					t.Cleanup(func() {
						if err := c.Close(); err != nil {
							t.Errorf("Close: %v", err)
						}
					})
				}
				return b
			})
		})
	}
}

type rule struct {
	name  string
	check func(t testing.TB, open func() fleet.Backend)
}

var rules = []rule{
	{"an empty fleet has no records", emptyIsEmpty},
	{"a record is made once", madeOnce},
	{"only the revision that was read is replaced", replacedByRevision},
	{"a deleted record is gone and its revision with it", deletedIsGone},
	{"values are kept as they are", valuesAreWhole},
	{"what one wrote the other reads", writtenIsRead},
	{"a read is of one instant", readIsOneInstant},
	{"no update is lost", noUpdateIsLost},
	{"a watch says that it listens and what was written", watchSays},
	{"what was written before the watch listens is not needed", watchAfterListening},
	{"calls end with their context", callsEnd},
}

func bounded(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}

func read(t testing.TB, b fleet.Backend) map[string]fleet.Record {
	t.Helper()
	ctx, done := bounded(t)
	defer done()
	rs, err := b.Read(ctx)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	m := map[string]fleet.Record{}
	for _, r := range rs {
		if _, twice := m[r.Key]; twice || r.Revision <= 0 {
			t.Fatalf("Read gives record %q twice, or with revision %d: want it once, above zero", r.Key, r.Revision)
		}
		m[r.Key] = r
	}
	return m
}

func write(t testing.TB, b fleet.Backend, key, value string, rev int64) int64 {
	t.Helper()
	ctx, done := bounded(t)
	defer done()
	r := fleet.Record{Key: key, Value: []byte(value), Revision: rev}
	now, err := b.Write(ctx, r, false)
	if err != nil {
		t.Fatalf("Write of %q at revision %d: %v", key, rev, err)
	}
	if now <= 0 || now == rev {
		t.Fatalf("Write of %q gives revision %d after %d: want a new one above zero", key, now, rev)
	}
	return now
}

func conflict(t testing.TB, b fleet.Backend, r fleet.Record, why string) {
	t.Helper()
	ctx, done := bounded(t)
	defer done()
	if _, err := b.Write(ctx, r, false); !errors.Is(err, fleet.ErrConflict) {
		t.Fatalf("Write of %q at revision %d: %v, want ErrConflict: %s", r.Key, r.Revision, err, why)
	}
}

func emptyIsEmpty(t testing.TB, open func() fleet.Backend) {
	if m := read(t, open()); len(m) != 0 {
		t.Fatalf("Read of an empty fleet gives %v", m)
	}
}

func madeOnce(t testing.TB, open func() fleet.Backend) {
	b := open()
	rev := write(t, b, "order", "one", 0)
	conflict(t, b, fleet.Record{Key: "order", Value: []byte("two")}, "it is there already")
	conflict(t, b, fleet.Record{Key: "order"}, "a deletion needs the revision")
	if r := read(t, b)["order"]; string(r.Value) != "one" || r.Revision != rev {
		t.Fatalf("Read after a refused Write gives %q at %d, want \"one\" at %d", r.Value, r.Revision, rev)
	}
}

func replacedByRevision(t testing.TB, open func() fleet.Backend) {
	b := open()
	first := write(t, b, "order", "one", 0)
	second := write(t, b, "order", "two", first)
	conflict(t, b, fleet.Record{Key: "order", Value: []byte("three"), Revision: first}, "it was replaced meanwhile")
	conflict(t, b, fleet.Record{Key: "order", Revision: first}, "it was replaced meanwhile")
	conflict(t, b, fleet.Record{Key: "member/a@1", Value: []byte("x"), Revision: second}, "no such record")
	conflict(t, b, fleet.Record{Key: "member/a@1"}, "a record that is not there cannot be deleted")
	if r := read(t, b)["order"]; string(r.Value) != "two" || r.Revision != second {
		t.Fatalf("Read gives %q at %d, want \"two\" at %d", r.Value, r.Revision, second)
	}
}

func deletedIsGone(t testing.TB, open func() fleet.Backend) {
	b := open()
	seen := map[int64]bool{}
	rev := int64(0)
	for i := range 5 {
		rev = write(t, b, "order", strconv.Itoa(i), 0)
		if seen[rev] {
			t.Fatalf("revision %d is used again after a deletion: somebody who has seen the first record would replace another", rev)
		}
		seen[rev] = true
		ctx, done := bounded(t)
		if _, err := b.Write(ctx, fleet.Record{Key: "order", Revision: rev}, false); err != nil {
			t.Fatalf("Write that deletes: %v", err)
		}
		done()
		if m := read(t, b); len(m) != 0 {
			t.Fatalf("Read after the deletion gives %v", m)
		}
		conflict(t, b, fleet.Record{Key: "order", Value: []byte("late"), Revision: rev}, "it was deleted")
	}
}

func valuesAreWhole(t testing.TB, open func() fleet.Backend) {
	b := open()
	want := map[string]string{
		"order": "{\"reason\":\"a \\\"reason\\\"\\n日本\"}", "member/a.b-c_d@ABC": string(bytes.Repeat([]byte("0123456789abcdef"), 1<<13)),
		"beat/a.b-c_d@ABC": "1",
	}
	for k, v := range want {
		write(t, b, k, v, 0)
	}
	got := read(t, b)
	for k, v := range want {
		if string(got[k].Value) != v {
			t.Fatalf("Read gives %q as %.80q, want %.80q", k, got[k].Value, v)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("Read gives %d records, want %d", len(got), len(want))
	}
}

func writtenIsRead(t testing.TB, open func() fleet.Backend) {
	a, b := open(), open()
	rev := int64(0)
	for i := range 50 {
		rev = write(t, a, "order", strconv.Itoa(i), rev)
		if r := read(t, b)["order"]; string(r.Value) != strconv.Itoa(i) || r.Revision != rev {
			t.Fatalf("after a Write that has returned, another process reads %q at %d, want %d at %d: a halt would be missed", r.Value, r.Revision, i, rev)
		}
		a, b = b, a
	}
}

// A writer moves two records in turn, so that the second is never ahead.
func readIsOneInstant(t testing.TB, open func() fleet.Backend) {
	a, b := open(), open()
	one, two := write(t, a, "member/1", "0", 0), write(t, a, "member/2", "0", 0)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			var err error
			if one, err = b.Write(context.WithoutCancel(t.Context()), fleet.Record{Key: "member/1", Value: []byte(strconv.Itoa(i)), Revision: one}, true); err == nil {
				two, err = b.Write(context.WithoutCancel(t.Context()), fleet.Record{Key: "member/2", Value: []byte(strconv.Itoa(i)), Revision: two}, true)
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	var bad string
	for range 200 {
		m := read(t, a)
		x, err1 := strconv.Atoi(string(m["member/1"].Value))
		y, err2 := strconv.Atoi(string(m["member/2"].Value))
		if err1 != nil || err2 != nil || y > x || x > y+1 {
			bad = fmt.Sprintf("Read gives %d and %d of records that were written in turn: not of one instant", x, y)
			break
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatalf("Write: %v", err)
	}
	if bad != "" {
		t.Fatalf("%s", bad)
	}
}

func noUpdateIsLost(t testing.TB, open func() fleet.Backend) {
	const workers, each = 4, 25
	first := open()
	write(t, first, "order", "0", 0)
	errs := make(chan error, workers)
	var wg sync.WaitGroup
	for range workers {
		b := open()
		wg.Go(func() { errs <- count(t, b, each) })
	}
	wg.Wait()
	for range workers {
		if err := <-errs; err != nil {
			t.Fatalf("%v", err)
		}
	}
	if got := string(read(t, first)["order"].Value); got != strconv.Itoa(workers*each) {
		t.Fatalf("%d updates leave %s: two writes replaced the same revision", workers*each, got)
	}
}

// count adds to a number n times, by reading and replacing.
func count(t testing.TB, b fleet.Backend, n int) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer done()
	for n > 0 {
		rs, err := b.Read(ctx)
		if err != nil || len(rs) != 1 {
			return fmt.Errorf("Read gives %d records: %w", len(rs), err)
		}
		at, err := strconv.Atoi(string(rs[0].Value))
		if err != nil {
			return err
		}
		rs[0].Value = []byte(strconv.Itoa(at + 1))
		_, err = b.Write(ctx, rs[0], true)
		if err == nil {
			n--
		} else if !errors.Is(err, fleet.ErrConflict) {
			return fmt.Errorf("Write: %w", err)
		}
	}
	return nil
}

// watched starts a watch and returns what it says.
func watched(t testing.TB, b fleet.Backend, prefix string) <-chan string {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	said, ended := make(chan string, 1000), make(chan error, 1)
	go func() { ended <- b.Watch(ctx, prefix, func(key string) { said <- key }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("Watch does not return after its context has ended")
		}
	})
	return said
}

func wait(t testing.TB, said <-chan string, want string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case got := <-said:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("Watch does not say %q within %v", want, patience)
		}
	}
}

func watchSays(t testing.TB, open func() fleet.Backend) {
	a, b := open(), open()
	said := watched(t, a, "member/")
	wait(t, said, "")
	rev := write(t, b, "member/x@1", "1", 0)
	wait(t, said, "member/x@1")
	rev = write(t, b, "member/x@1", "2", rev)
	wait(t, said, "member/x@1")
	own := write(t, a, "member/y@1", "1", 0)
	wait(t, said, "member/y@1")
	ctx, done := bounded(t)
	defer done()
	for key, r := range map[string]int64{"member/x@1": rev, "member/y@1": own} {
		if _, err := b.Write(ctx, fleet.Record{Key: key, Revision: r}, false); err != nil {
			t.Fatalf("Write that deletes: %v", err)
		}
		wait(t, said, key)
	}
}

// Whoever watches reads once the watch says that it listens: so what was written before
// is seen by the read, and what is written after it is said.
func watchAfterListening(t testing.TB, open func() fleet.Backend) {
	a, b := open(), open()
	rev := int64(0)
	for i := range 10 {
		value := strconv.Itoa(i)
		now := make(chan int64, 1)
		go func() {
			r, err := b.Write(context.WithoutCancel(t.Context()), fleet.Record{Key: "order", Value: []byte(value), Revision: rev}, false)
			if err != nil {
				r = 0
			}
			now <- r
		}()
		said := watched(t, a, "order")
		wait(t, said, "")
		for string(read(t, a)["order"].Value) != value {
			wait(t, said, "order") // of the write before, perhaps; then it says so again
		}
		if rev = <-now; rev == 0 {
			t.Fatalf("Write %d failed", i)
		}
	}
}

func callsEnd(t testing.TB, open func() fleet.Backend) {
	b := open()
	rev := write(t, b, "order", "1", 0)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Read(ended); err == nil {
		t.Fatalf("Read gives no error although its context has ended")
	}
	if _, err := b.Write(ended, fleet.Record{Key: "order", Value: []byte("2"), Revision: rev}, false); err == nil || errors.Is(err, fleet.ErrConflict) {
		t.Fatalf("Write although its context has ended: %v, want an error that leaves it open", err)
	}
	if err := b.Watch(ended, "", func(string) {}); err == nil {
		t.Fatalf("Watch gives no error although its context has ended")
	}
}
