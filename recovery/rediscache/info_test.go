package rediscache_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/recovery/rediscache"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestInfoTellsMemoryAndHitRate(t *testing.T) {
	w := newWorld(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
	before, err := w.Info(t.Context())
	require.NoError(t, err)
	_, known := before.HitRate()
	require.False(t, known, "nobody has looked anything up")
	w.set(t, "a", time.Hour)
	w.set(t, "b", 0)
	for _, key := range []string{"a", "a", "b", "none"} {
		_ = w.redis.Get(t.Context(), key).Err() // one of them is not there
	}
	i, err := w.Info(t.Context())
	require.NoError(t, err)
	rate, known := i.HitRate()
	require.True(t, known)
	require.Equal(t, 0.75, rate)
	rate, known = i.HitRateSince(before)
	require.True(t, known)
	require.Equal(t, 0.75, rate)
	_, known = before.HitRateSince(i)
	require.False(t, known, "counters that fell say nothing")
	other := before
	other.Run = "another"
	_, known = i.HitRateSince(other)
	require.False(t, known, "another run of the server")
	require.Positive(t, i.MemoryUsed)
	require.GreaterOrEqual(t, i.MemoryPeak, i.MemoryUsed/2)
	require.Equal(t, int64(64<<20), i.MemoryLimit)
	require.True(t, i.Evicts())
	require.Equal(t, "master", i.Role)
	require.Equal(t, []rediscache.Database{{Number: 0, Keys: 2, Expires: 1}}, i.Databases)
	require.Contains(t, i.String(), "hit rate 75.0 %")
	require.Contains(t, before.String(), "hit rate not known")
}

// canned is a client with one answer.
type canned string

func (c canned) Do(ctx context.Context, args ...any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetVal(string(c))
	return cmd
}

const whole = "# Server\r\nredis_version:7\r\nrun_id:r\r\nrole:master\r\ncluster_enabled:0\r\nused_memory:1\r\nused_memory_peak:2\r\nmaxmemory:0\r\n" +
	"maxmemory_policy:noeviction\r\nkeyspace_hits:0\r\nkeyspace_misses:0\r\nevicted_keys:0\r\nexpired_keys:0\r\ndb3:keys=2,expires=1,avg_ttl=0\r\n"

func TestLaw1_WhatTheServerDoesNotSayIsAnError(t *testing.T) {
	open := func(text string) *rediscache.Cache {
		c, err := rediscache.New(rediscache.Config{Client: canned(text)})
		require.NoError(t, err)
		return c
	}
	i, err := open(whole).Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, []rediscache.Database{{Number: 3, Keys: 2, Expires: 1}}, i.Databases)
	for line := range strings.Lines(whole) {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "db") {
			continue
		}
		key, _, _ := strings.Cut(line, ":")
		_, err := open(strings.Replace(whole, line, "", 1)).Info(t.Context())
		require.ErrorContains(t, err, key, "it is missing")
	}
	for was, is := range map[string]string{"used_memory:1\r": "used_memory:-1\r", "keyspace_hits:0": "keyspace_hits:many", "keys=2,expires=1": "keys=1,expires=2", "keys=2,": "keys=,"} {
		_, err := open(strings.Replace(whole, was, is, 1)).Info(t.Context())
		require.Error(t, err, is)
	}
}

func FuzzInfo(f *testing.F) {
	f.Add(whole)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := rediscache.New(rediscache.Config{Client: canned(text)})
		require.NoError(t, err)
		i, err := c.Info(t.Context())
		if err == nil {
			require.NotEmpty(t, i.Run)
			require.GreaterOrEqual(t, i.MemoryUsed, int64(0))
		}
	})
}

func TestLaw11_AServerThatIsGoneIsSaid(t *testing.T) {
	w := newWorld(t)
	w.stop()
	_, err := w.Info(t.Context())
	require.ErrorIs(t, err, rediscache.ErrUnreachable)
	_, err = w.PlanFlush(t.Context(), rediscache.Request{}, noon)
	require.ErrorIs(t, err, rediscache.ErrUnreachable)
	w.open(t, func(c *rediscache.Config) { c.Client, c.Timeout = silent{}, 10*time.Millisecond })
	_, err = w.Info(t.Context())
	require.ErrorIs(t, err, rediscache.ErrUnreachable, "one that hangs too")
}

// silent is a client whose server does not answer.
type silent struct{}

func (silent) Do(ctx context.Context, args ...any) *redis.Cmd {
	<-ctx.Done()
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetErr(ctx.Err())
	return cmd
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := rediscache.New(rediscache.Config{ValidFor: 13 * time.Hour, Timeout: -1})
	for _, want := range []string{"Client:", "ValidFor:", "Timeout:"} {
		require.ErrorContains(t, err, want)
	}
}
