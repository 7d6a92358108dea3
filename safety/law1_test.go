package safety_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/safety"
	"github.com/stretchr/testify/require"
)

// What was never set is the strictest of its kind.
func TestLaw1_ZeroValuesAreStrict(t *testing.T) {
	require.Equal(t, safety.Halted, safety.TradingState(0))
	require.Equal(t, safety.Increase, safety.Intent(0))
	require.Equal(t, safety.OutcomeUnknown, safety.Outcome(0))
	require.False(t, safety.TradingState(0).Admits(safety.Intent(0)))
	require.False(t, safety.TradingState(7).Admits(safety.Cancel), "a state that is none")
	require.False(t, safety.Active.Admits(safety.Intent(9)), "an intent that is none")
	_, err := safety.TradingState(7).MarshalText()
	require.Error(t, err)
	var s safety.TradingState
	require.ErrorContains(t, s.UnmarshalText([]byte("Active")), "Active")
}

// A flag that cannot be looked at, or that is there in whatever form, halts a switch
// that would be active, at the start and while it runs, and the hold names it.
func TestLaw1_FlagInDoubtHalts(t *testing.T) {
	remove := func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) }
	for _, c := range []struct {
		name, says string
		spoil      func(t *testing.T, dir string)
	}{
		{"file", "is present", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "EMERGENCY_STOP"), nil, 0o600))
		}},
		{"directory", "is present", func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "EMERGENCY_STOP"), 0o700))
		}},
		{"dangling link", "is present", func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("/nowhere/at/all", filepath.Join(dir, "EMERGENCY_STOP")))
		}},
		{"its directory vanished", "cannot be looked at: its directory", remove},
		{"its directory is a file", "cannot be looked at", func(t *testing.T, dir string) {
			remove(t, dir)
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		}},
		{"its directory is a dangling link", "cannot be looked at: its directory", func(t *testing.T, dir string) {
			remove(t, dir)
			require.NoError(t, os.Symlink("/nowhere/at/all", dir))
		}},
		{"its directory is a loop of links", "cannot be looked at", func(t *testing.T, dir string) {
			remove(t, dir)
			require.NoError(t, os.Symlink(dir, dir))
		}},
	} {
		says := func(t *testing.T, sw *safety.Switch, flag string) {
			holds := lasting(sw)
			require.NotEmpty(t, holds)
			require.Equal(t, safety.Halted, holds[0].State)
			require.Equal(t, "andon/flag "+flag, holds[0].By)
			require.Contains(t, holds[0].Reason, c.says)
			require.ErrorContains(t, sw.Check(), flag)
		}
		t.Run(c.name+" at the start", func(t *testing.T) {
			cfg := quiet(t)
			wasActive(t, cfg)
			flag := cfg.Flags[0].Path
			c.spoil(t, filepath.Dir(flag))
			sw := open(t, cfg)
			says(t, sw, flag)
			run(t, sw)
			says(t, sw, flag)
		})
		t.Run(c.name+" while it runs", func(t *testing.T) {
			cfg := quiet(t)
			cfg.FlagPoll, cfg.PollOnly = 5*time.Millisecond, true
			sw := active(t, cfg)
			flag := cfg.Flags[0].Path
			c.spoil(t, filepath.Dir(flag))
			eventually(t, func() bool { return sw.State() == safety.Halted }, "the flag is looked at")
			says(t, sw, flag)
		})
	}
}

func TestLaw1_FlagNameThatCannotBeAskedForHalts(t *testing.T) {
	cfg := quiet(t)
	cfg.Flags = append(cfg.Flags, safety.Flag{Path: filepath.Join(filepath.Dir(cfg.Flags[0].Path), strings.Repeat("x", 300)), State: safety.Halted})
	wasActiveNoFlags := cfg
	wasActiveNoFlags.Flags, wasActiveNoFlags.NoFlags = nil, true
	wasActive(t, wasActiveNoFlags)
	sw := open(t, cfg)
	run(t, sw)
	require.Equal(t, safety.Halted, sw.State())
	require.ErrorContains(t, sw.Check(), "name too long")
}

func summed(body string) string {
	return fmt.Sprintf("%ssha256 %x\n", body, sha256.Sum256([]byte(body)))
}

// A state that cannot be trusted halts and says why. It is set aside, not written over.
func TestLaw1_StateInDoubtHalts(t *testing.T) {
	resumed := `"resumed":{"by":"alice","note":"fine","at":"2026-11-24T05:00:00Z"},"saved_at":"2026-11-24T05:00:00Z"`
	for _, c := range []struct {
		name, says string
		spoil      func(whole string) string
	}{
		{"empty", "no checksum line", func(string) string { return "" }},
		{"torn", "no checksum line", func(w string) string { return w[:len(w)/2] }},
		{"torn in its checksum", "checksum does not match", func(w string) string { return w[:len(w)-10] }},
		{"a newline short", "checksum does not match", func(w string) string { return w[:len(w)-1] }},
		{"edited", "checksum does not match", func(w string) string { return strings.Replace(w, "alice", "alicf", 1) }},
		{"continued", "checksum does not match", func(w string) string { return w + "x" }},
		{"zeros", "no checksum line", func(w string) string { return strings.Repeat("\x00", len(w)) }},
		{"oversize", "larger than", func(w string) string { return w + strings.Repeat(" ", 1<<20) }},
		{"newer version", "version 3, this program reads 1 to 2", func(string) string {
			return summed(`{"version":3,"name":"test","seq":1,"last_hold":1,"holds":[],"gates":[],` + resumed + "}\n")
		}},
		{"field of another program", "unknown field", func(string) string {
			return summed(`{"version":1,"name":"test","seq":1,"last_hold":1,"holds":[],"gates":[],` + resumed + "}\n")
		}},
		{"another bot's", `it is of bot "other" and this is "test"`, func(string) string {
			return summed(`{"version":1,"name":"other","seq":1,"last_hold":1,"holds":[],` + resumed + "}\n")
		}},
		{"nobody resumed", "nobody who resumed", func(string) string {
			return summed(`{"version":1,"name":"test","seq":1,"last_hold":1,"holds":[],"saved_at":"2026-11-24T05:00:00Z"}` + "\n")
		}},
		{"a hold that holds nothing", "holds nothing", func(string) string {
			return summed(`{"version":1,"name":"test","seq":1,"last_hold":1,"holds":[{"id":1,"state":"active","by":"x","reason":"y","at":"2026-11-24T05:00:00Z"}],` + resumed + "}\n")
		}},
		{"a hold id from the future", "is not unique within", func(string) string {
			return summed(`{"version":1,"name":"test","seq":1,"last_hold":1,"holds":[{"id":2,"state":"halted","by":"x","reason":"y","at":"2026-11-24T05:00:00Z"}],` + resumed + "}\n")
		}},
		{"a throttle that limits nothing", "a limit without its window limits nothing", func(string) string {
			return summed(`{"version":2,"name":"test","seq":1,"last_hold":1,"holds":[{"id":1,"state":"active","by":"x","reason":"y","at":"2026-11-24T05:00:00Z","throttle":{"limits":{"max_orders":5}}}],` + resumed + "}\n")
		}},
		{"two states", "after top-level value", func(string) string {
			one := `{"version":1,"name":"test","seq":1,"last_hold":1,"holds":[],` + resumed + "}\n"
			return summed(one + one)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := quiet(t)
			wasActive(t, cfg)
			path := filepath.Join(cfg.Dir, safety.StateFile)
			whole, err := os.ReadFile(path)
			require.NoError(t, err)
			spoiled := []byte(c.spoil(string(whole)))
			require.NoError(t, os.WriteFile(path, spoiled, 0o600))

			sw := open(t, cfg)
			run(t, sw)
			require.Equal(t, safety.Halted, sw.State())
			require.Contains(t, lasting(sw)[0].Reason, c.says)
			resume(t, sw)
			require.NoError(t, sw.Close())
			aside, err := filepath.Glob(path + ".damaged-*")
			require.NoError(t, err)
			require.Len(t, aside, 1, "the evidence is kept")
			kept, err := os.ReadFile(aside[0])
			require.NoError(t, err)
			require.Equal(t, spoiled, kept)
		})
	}
}

func TestLaw1_StateThatCannotBeReadHalts(t *testing.T) {
	cfg := quiet(t)
	wasActive(t, cfg)
	path := filepath.Join(cfg.Dir, safety.StateFile)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o700))
	sw := open(t, cfg)
	run(t, sw)
	require.Equal(t, safety.Halted, sw.State())
	require.Contains(t, lasting(sw)[0].Reason, "is a directory")
}

// A directory that cannot be opened halts, and the stop works without it. Once it can
// be had, what nobody has read there is set aside, and the halt is saved.
func TestLaw1_StateDirectoryOutOfReachHalts(t *testing.T) {
	cfg := quiet(t)
	wasActive(t, cfg)
	hidden := cfg.Dir + ".hidden"
	require.NoError(t, os.Rename(cfg.Dir, hidden))
	require.NoError(t, os.WriteFile(cfg.Dir, nil, 0o600)) // a file in its place
	cfg.DurableWithin = 20 * time.Millisecond
	sw := open(t, cfg)
	require.Equal(t, safety.Halted, sw.State())
	require.ErrorContains(t, sw.Check(), "the state cannot be trusted")
	_, err := sw.Halt(t.Context(), "bob", "drill")
	require.ErrorIs(t, err, safety.ErrNotDurable)

	require.NoError(t, os.Remove(cfg.Dir))
	require.NoError(t, os.Rename(hidden, cfg.Dir))
	eventually(t, func() bool { return sw.Status().Durable }, "it goes on trying")
	require.NoError(t, sw.Close())
	aside, err := filepath.Glob(filepath.Join(cfg.Dir, safety.StateFile+".damaged-*"))
	require.NoError(t, err)
	require.Len(t, aside, 1)
	require.Contains(t, fmt.Sprint(lasting(open(t, cfg))), "drill")
}

// With a limit, an order that adds exposure needs a known position; the denial names it.
func TestLaw1_PositionUnknownDeniesIncrease(t *testing.T) {
	synctest.Test(t, positionUnknown)
}

func positionUnknown(t *testing.T) {
	cfg := inMemory()
	cfg.MaxPosition = map[string]andon.Decimal{"BTC": dec("10")}
	sw := active(t, cfg)
	_, err := enter(sw, order("a", andon.Buy, "1"))
	require.ErrorIs(t, err, safety.ErrDenied)
	require.ErrorContains(t, err, `the position of sim/BTC is not known: no view of venue "sim"`)

	observe(t, sw, nil)
	time.Sleep(time.Minute + 1)
	_, err = enter(sw, order("b", andon.Buy, "1"))
	require.ErrorContains(t, err, "the position of sim/BTC is not known: the last view is of")

	observe(t, sw, nil)
	time.Sleep(time.Minute)
	p, err := enter(sw, order("c", andon.Buy, "1"))
	require.NoError(t, err)
	p.Exit(safety.Accepted)
}

// A view that would mislead the gate is refused whole, and names the field.
func TestLaw1_ViewThatCannotBeRightIsRefused(t *testing.T) {
	sw := open(t, quiet(t))
	long := position("1")
	for _, c := range []struct {
		says string
		v    safety.View
	}{
		{"Venue is empty", safety.View{Asked: time.Now()}},
		{"Asked is zero", safety.View{Venue: "sim"}},
		{`Positions[0]: venue "sim"`, safety.View{Venue: "other", Asked: time.Now(), Positions: []andon.Position{long}}},
		{"is there twice", safety.View{Venue: "sim", Asked: time.Now(), Positions: []andon.Position{long, long}}},
		{"Positions[0]: position: symbol is empty", safety.View{Venue: "sim", Asked: time.Now(), Positions: []andon.Position{{Venue: "sim"}}}},
		{"Orders[0]: order \"x\": side", safety.View{Venue: "sim", Asked: time.Now(), Orders: []andon.Order{{Venue: "sim", ClientID: "x"}}}},
		{"Orders[0]: venue \"\"", safety.View{Venue: "sim", Asked: time.Now(), Orders: []andon.Order{{ClientID: "x"}}}},
	} {
		require.ErrorContains(t, sw.Observe(c.v), c.says)
	}
	observe(t, sw, nil)
	older := safety.View{Venue: "sim", Asked: time.Now().Add(-time.Minute)}
	require.ErrorIs(t, sw.Observe(older), safety.ErrStaleView)
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := safety.Open(t.Context(), safety.Config{
		Flags:    []safety.Flag{{Path: "stop"}, {Path: "/a/../b"}, {Path: "/c", State: safety.Active}, {Path: "/c"}},
		FlagPoll: -1, DurableWithin: -1, DrainWithin: -1, ProbeEvery: -1, MaxViewAge: -1, SettleAfter: -1,
		MaxPosition: map[string]andon.Decimal{"BTC": dec("-1")}, NoFlags: true,
	})
	for _, says := range []string{
		"Name is empty", "Dir and Store", "NoFlags is set beside", `Flags[0].Path "stop" is not absolute`, `Flags[1].Path "/a/../b" is not clean`,
		"Flags[2].State active holds nothing", `Flags[3].Path "/c" is there twice`, "FlagPoll -1ns is negative", "DurableWithin", "DrainWithin",
		"ProbeEvery", "MaxViewAge", "SettleAfter", `MaxPosition["BTC"] -1 is negative`,
	} {
		require.ErrorContains(t, err, says)
	}
}
