package rediscache_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/recovery/rediscache"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const (
	alice = "alice"
	why   = "stale order books"
)

func (w world) plan(t testing.TB, req rediscache.Request) rediscache.Plan {
	t.Helper()
	p, err := w.PlanFlush(t.Context(), req, noon)
	require.NoError(t, err)
	return p
}

func (w world) flush(t testing.TB, p rediscache.Plan) (rediscache.Flushed, error) {
	t.Helper()
	return w.Flush(t.Context(), p, alice, why, noon.Add(time.Minute))
}

func TestLaw9_AFlushIsAPlanAndAppliedTwiceChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.set(t, "a", time.Hour)
	p := w.plan(t, rediscache.Request{})
	require.True(t, w.has(t, "a"), "a plan changes nothing")
	require.Contains(t, p.String(), "db0: 1 keys, of which 0 never expire")
	text, err := json.Marshal(p)
	require.NoError(t, err)
	var back rediscache.Plan
	require.NoError(t, json.Unmarshal(text, &back))
	w.set(t, "b", time.Hour) // a cache is never still
	done, err := w.flush(t, back)
	require.NoError(t, err)
	require.Equal(t, rediscache.Flushed{Plan: p.ID, Keys: 2}, done)
	require.False(t, w.has(t, "a"))
	require.Equal(t, []string{"redis FLUSHALL of 1 keys, plan " + p.ID}, w.rec.Whats())

	w.set(t, "new", time.Hour)
	done, err = w.flush(t, p)
	require.NoError(t, err)
	require.True(t, done.Unchanged)
	require.True(t, w.has(t, "new"))
	done, err = w.Flush(t.Context(), p, alice, why, noon.Add(time.Hour))
	require.NoError(t, err, "what was applied is not too old: to make a new plan would be to flush again")
	require.True(t, done.Unchanged)
	require.Len(t, w.rec.Entries(), 1)
}

func TestLaw9_AFlushWhoseFactsHaveMovedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.set(t, "a", time.Hour)
	p := w.plan(t, rediscache.Request{})
	refused := func(p rediscache.Plan, at time.Time, want error) {
		t.Helper()
		_, err := w.Flush(t.Context(), p, alice, why, at)
		require.ErrorIs(t, err, want)
		require.True(t, w.has(t, "a"))
		require.Empty(t, w.rec.Entries())
	}
	edited := p
	edited.Evicts = true
	refused(edited, noon, rediscache.ErrMoved)
	refused(p, noon.Add(16*time.Minute), rediscache.ErrMoved)
	refused(p, noon.Add(-16*time.Minute), rediscache.ErrMoved)
	w.set(t, "kept for ever", 0)
	refused(p, noon, rediscache.ErrMoved)
	require.NoError(t, w.redis.Del(t.Context(), "kept for ever").Err())
	require.NoError(t, w.redis.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	refused(p, noon, rediscache.ErrMoved)
	require.NoError(t, w.redis.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	require.NoError(t, w.redis.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	refused(p, noon, rediscache.ErrReplica)
	require.NoError(t, w.redis.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())

	other := newWorld(t)
	other.set(t, "a", time.Hour)
	_, err := other.flush(t, p)
	require.ErrorIs(t, err, rediscache.ErrMoved, "another server")
	require.True(t, other.has(t, "a"))
	_, err = w.flush(t, p)
	require.NoError(t, err, "and where everything is as it was, it is applied")
}

func TestWhatDoesNotLookLikeACacheIsNotFlushedUnasked(t *testing.T) {
	w := newWorld(t)
	w.set(t, "a", time.Hour)
	require.NoError(t, w.redis.Do(t.Context(), "MSET", "queue", "orders").Err())
	_, err := w.PlanFlush(t.Context(), rediscache.Request{}, noon)
	require.ErrorIs(t, err, rediscache.ErrNotACache)
	require.ErrorContains(t, err, "1 keys that never expire")
	p := w.plan(t, rediscache.Request{Permanent: true})
	require.Contains(t, p.String(), "of which 1 never expire")
	w.set(t, "another", 0)
	_, err = w.flush(t, p)
	require.ErrorIs(t, err, rediscache.ErrMoved, "there is more to lose than the plan says")
	require.NoError(t, w.redis.Del(t.Context(), "another").Err())
	_, err = w.flush(t, p)
	require.NoError(t, err)

	lru := newWorld(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lfu")
	lru.set(t, "x", 0)
	q := lru.plan(t, rediscache.Request{})
	lru.set(t, "y", 0)
	_, err = lru.flush(t, q)
	require.NoError(t, err, "a server that evicts everything is a cache")

	require.NoError(t, w.redis.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	_, err = w.PlanFlush(t.Context(), rediscache.Request{Permanent: true}, noon)
	require.ErrorIs(t, err, rediscache.ErrReplica)
	cluster := newWorld(t, "--cluster-enabled", "yes")
	_, err = cluster.PlanFlush(t.Context(), rediscache.Request{}, noon)
	require.ErrorIs(t, err, rediscache.ErrCluster)
}

func TestLaw10_NothingIsFlushedThatIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	w.set(t, "a", time.Hour)
	p := w.plan(t, rediscache.Request{})
	w.rec.Fail(errors.New("broken"))
	_, err := w.flush(t, p)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	w.open(t, func(c *rediscache.Config) { c.Recorder = nil })
	_, err = w.flush(t, p)
	require.ErrorIs(t, err, recovery.ErrNotRecorded)
	w.open(t, nil)
	w.rec.Fail(nil)
	_, err = w.Flush(t.Context(), p, "", why, noon)
	require.Error(t, err)
	_, err = w.Flush(t.Context(), p, alice, "", noon)
	require.Error(t, err)
	require.True(t, w.has(t, "a"))
	require.Empty(t, w.rec.Entries())
}

// losesAnswer is a client that loses the answer to a flush.
type losesAnswer struct {
	rediscache.Client
	after bool // the server has done it by then
}

func (l losesAnswer) Do(ctx context.Context, args ...any) *redis.Cmd {
	if args[0] != "EVAL" || args[4] != "flush" {
		return l.Client.Do(ctx, args...)
	}
	cmd := redis.NewCmd(ctx, args...)
	if l.after {
		cmd = l.Client.Do(ctx, args...)
	}
	cmd.SetErr(io.ErrUnexpectedEOF)
	return cmd
}

func TestLaw6_ALostAnswerIsItsOwnOutcomeAndAppliedAgainFlushesOnce(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			w := newWorld(t)
			w.set(t, "a", time.Hour)
			p := w.plan(t, rediscache.Request{})
			w.open(t, func(c *rediscache.Config) { c.Client = losesAnswer{w.redis, after} })
			_, err := w.flush(t, p)
			require.ErrorIs(t, err, rediscache.ErrOutcomeUnknown)
			require.Equal(t, !after, w.has(t, "a"))
			w.set(t, "new", time.Hour)
			w.open(t, nil)
			done, err := w.flush(t, p)
			require.NoError(t, err)
			require.Equal(t, after, done.Unchanged)
			require.Equal(t, after, w.has(t, "new"), "what came after the flush stays")
		})
	}
}

func TestTwoWhoFlushAtOnceFlushOnce(t *testing.T) {
	w := newWorld(t)
	w.set(t, "a", time.Hour)
	p := w.plan(t, rediscache.Request{})
	var flushed, unchanged int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			done, err := w.Flush(t.Context(), p, alice, why, noon)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && done.Unchanged {
				unchanged++
			} else if err == nil {
				flushed++
			}
		})
	}
	wg.Wait()
	require.Equal(t, []int{1, 7}, []int{flushed, unchanged})
}

func TestAServerThatForbidsItSaysSo(t *testing.T) {
	w := newWorld(t, "--rename-command", "FLUSHALL", "")
	w.set(t, "a", time.Hour)
	_, err := w.flush(t, w.plan(t, rediscache.Request{}))
	require.Error(t, err)
	require.NotErrorIs(t, err, rediscache.ErrUnreachable)
	require.NotErrorIs(t, err, rediscache.ErrOutcomeUnknown)
	require.True(t, strings.Contains(strings.ToLower(err.Error()), "unknown"), err)
	require.True(t, w.has(t, "a"))
}

func Example() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close()
	var timeline recovery.Recorder // where decisions are kept
	cache, err := rediscache.New(rediscache.Config{Client: client, Recorder: timeline})
	if err != nil {
		panic(err)
	}
	info, err := cache.Info(context.Background())
	if err != nil {
		fmt.Println("the bot trades without its cache:", err)
		return
	}
	fmt.Println(info) // memory and hit rate
	plan, err := cache.PlanFlush(context.Background(), rediscache.Request{}, time.Now())
	if err != nil {
		panic(err)
	}
	fmt.Print(plan) // for a person to read before it is applied
	done, err := cache.Flush(context.Background(), plan, "alice", "stale order books", time.Now())
	fmt.Println(done.Keys, err)
}
