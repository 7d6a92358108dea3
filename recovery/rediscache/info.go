package rediscache

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Info is how a server stands.
type Info struct {
	Version string // such as "7.0.15"
	Run     string // the ID of this run of the server; another one after a restart
	Role    string // "master" or "slave", in the server's words
	Cluster bool   // it is one of several

	MemoryUsed  int64  // bytes, of keys and values and what keeping them takes
	MemoryPeak  int64  // bytes, the most there was
	MemoryLimit int64  // bytes; 0 is without limit
	Policy      string // what goes when memory is full, such as "allkeys-lru" or "noeviction"

	Hits, Misses int64 // lookups since the server started
	Evicted      int64 // keys that went for want of memory
	Expired      int64 // keys whose time was over

	Databases []Database // those that hold keys, by number
}

// Database is one of a server's numbered databases.
type Database struct {
	Number  int   `json:"number"`
	Keys    int64 `json:"keys"`
	Expires int64 `json:"expires"` // of the keys, those that have a time to live
}

// Permanent returns how many keys never expire.
func (d Database) Permanent() int64 { return d.Keys - d.Expires }

// HitRate returns which part of the lookups found something, from 0 to 1, since the
// server started. It is not known when there was none.
func (i Info) HitRate() (rate float64, known bool) { return hitRate(i.Hits, i.Misses) }

// HitRateSince returns which part of the lookups between an earlier look and this
// one found something. It is not known when there was none, or when the server was
// started anew or its counters were reset in between.
func (i Info) HitRateSince(earlier Info) (rate float64, known bool) {
	if i.Run != earlier.Run {
		return 0, false
	}
	return hitRate(i.Hits-earlier.Hits, i.Misses-earlier.Misses)
}

func hitRate(hits, misses int64) (float64, bool) {
	if hits < 0 || misses < 0 || hits+misses == 0 {
		return 0, false
	}
	return float64(hits) / float64(hits+misses), true
}

// Evicts reports whether every key may be evicted, as in a cache.
func (i Info) Evicts() bool { return strings.HasPrefix(i.Policy, "allkeys-") }

// String returns one line for people.
func (i Info) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "redis %s, %s: %d bytes", i.Version, i.Role, i.MemoryUsed)
	if i.MemoryLimit > 0 {
		fmt.Fprintf(&b, " of %d (%s)", i.MemoryLimit, i.Policy)
	}
	if rate, known := i.HitRate(); known {
		fmt.Fprintf(&b, ", hit rate %.1f %%", rate*100)
	} else {
		b.WriteString(", hit rate not known")
	}
	for _, d := range i.Databases {
		fmt.Fprintf(&b, ", db%d %d keys", d.Number, d.Keys)
	}
	return b.String()
}

// Info asks the server how it stands. What is missing in the answer is an error.
func (c *Cache) Info(ctx context.Context) (Info, error) {
	cmd, err := c.do(ctx, "INFO")
	if err != nil {
		return Info{}, fmt.Errorf("redis info: %w", err)
	}
	text, err := cmd.Text()
	if err != nil {
		return Info{}, fmt.Errorf("redis info: %w", err)
	}
	i, err := parseInfo(text)
	if err != nil {
		return Info{}, fmt.Errorf("redis info: %w", err)
	}
	return i, nil
}

// parseInfo reads an answer to INFO.
func parseInfo(text string) (i Info, err error) {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && !strings.HasPrefix(key, "#") {
			fields[key] = value
		}
	}
	word := func(key string) (v string) {
		v, ok := fields[key]
		if (!ok || v == "") && err == nil {
			err = fmt.Errorf("the answer has no %s", key)
		}
		return v
	}
	number := func(key string) int64 {
		text := word(key)
		n, nerr := strconv.ParseInt(text, 10, 64)
		if (nerr != nil || n < 0) && err == nil {
			err = fmt.Errorf("%s is %q", key, text)
		}
		return n
	}
	i = Info{
		Version: word("redis_version"), Run: word("run_id"), Role: word("role"), Cluster: number("cluster_enabled") != 0,
		MemoryUsed: number("used_memory"), MemoryPeak: number("used_memory_peak"), MemoryLimit: number("maxmemory"), Policy: word("maxmemory_policy"),
		Hits: number("keyspace_hits"), Misses: number("keyspace_misses"), Evicted: number("evicted_keys"), Expired: number("expired_keys"),
	}
	for key, value := range fields {
		n, ok := strings.CutPrefix(key, "db")
		index, nerr := strconv.ParseUint(n, 10, 31)
		if !ok || nerr != nil {
			continue
		}
		d := Database{Number: int(index)}
		if _, serr := fmt.Sscanf(value, "keys=%d,expires=%d", &d.Keys, &d.Expires); (serr != nil || d.Keys < d.Expires || d.Expires < 0) && err == nil {
			err = fmt.Errorf("%s is %q", key, value)
		}
		i.Databases = append(i.Databases, d)
	}
	slices.SortFunc(i.Databases, func(a, b Database) int { return a.Number - b.Number })
	if err != nil {
		return Info{}, err
	}
	return i, nil
}
