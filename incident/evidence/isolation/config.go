package isolation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Kind says why something stays reachable.
type Kind string

// The kinds. Each of the first four must be there.
const (
	Venue    Kind = "venue"    // where positions are closed and protected
	Channel  Kind = "channel"  // by which people are paged
	Database Kind = "database" // one on this machine is given as 127.0.0.1, by socket too
	Loopback Kind = "loopback" // the machine itself; has no Host
	Service  Kind = "service"  // what the others need: a name server, the clock, DHCP
	Admin    Kind = "admin"    // connections that come from there are answered, none is opened to it
)

// Allow is something that stays reachable.
type Allow struct {
	Kind  Kind
	Host  string // an address, a range such as "10.0.9.0/24", or a name that is resolved in Plan
	Port  uint16 // 0: every port and protocol
	Proto string // "tcp" or "udp"; defaults to "tcp"
}

// Recorder puts what was done on the timeline. *incident.Manager is one.
type Recorder interface {
	Record(ctx context.Context, at time.Time, who, what, why string) error
}

// Config is what an Isolator needs.
type Config struct {
	// Filter is the packet filter. Required.
	Filter Filter

	// Allow is what stays reachable. Required: a venue, a channel, the database and
	// loopback at least.
	Allow []Allow

	// Resolve returns the addresses of a name. Defaults to those of net.DefaultResolver.
	Resolve func(ctx context.Context, name string) ([]netip.Addr, error)

	// Recorder is told of each block and undo. Nil: nobody is.
	Recorder Recorder

	Log *slog.Logger // defaults to slog.Default()
}

// Isolator cuts its machine off. Safe for concurrent use.
type Isolator struct {
	cfg  Config
	turn chan struct{} // holds one token: who has it changes the filter
}

// New returns an Isolator, or an error that names every field that cannot be meant. It
// changes nothing.
func New(cfg Config) (*Isolator, error) {
	var errs []error
	if cfg.Filter == nil {
		errs = append(errs, errors.New("Filter is nil"))
	}
	for i, a := range cfg.Allow {
		if err := a.validate(); err != nil {
			errs = append(errs, fmt.Errorf("Allow[%d]: %w", i, err))
		}
	}
	for _, k := range []Kind{Venue, Channel, Database, Loopback} {
		if !slices.ContainsFunc(cfg.Allow, func(a Allow) bool { return a.Kind == k }) {
			errs = append(errs, fmt.Errorf("Allow has no %s: isolation would cut it off", k))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("isolation: %w", err)
	}
	if cfg.Resolve == nil {
		cfg.Resolve = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	i := &Isolator{cfg: cfg, turn: make(chan struct{}, 1)}
	i.cfg.Allow = slices.Clone(cfg.Allow)
	i.turn <- struct{}{}
	return i, nil
}

func (a Allow) validate() error {
	if a.Kind == Loopback {
		if a.Host != "" || a.Port != 0 || a.Proto != "" {
			return errors.New("loopback has neither Host, Port nor Proto")
		}
		return nil
	}
	switch {
	case !slices.Contains([]Kind{Venue, Channel, Database, Service, Admin}, a.Kind):
		return fmt.Errorf("Kind is %q", a.Kind)
	case a.Host == "":
		return fmt.Errorf("%s: Host is empty", a.Kind)
	case a.Proto != "" && a.Proto != "tcp" && a.Proto != "udp":
		return fmt.Errorf("%s %s: Proto is %q, want tcp or udp", a.Kind, a.Host, a.Proto)
	case a.Proto != "" && a.Port == 0:
		return fmt.Errorf("%s %s: Proto without Port", a.Kind, a.Host)
	}
	p, err := prefix(a.Host)
	switch {
	case err == nil && p.Bits() == 0:
		return fmt.Errorf("%s: %s is everywhere", a.Kind, a.Host)
	case err != nil && !name(a.Host):
		return fmt.Errorf("%s: Host is %q, want an address, a range or a name", a.Kind, a.Host)
	}
	return nil
}

// prefix reads an address or a range.
func prefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, errors.New("an address with a zone")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, err
	}
	if p.Addr().Is4In6() {
		return p, errors.New("a range of IPv4 addresses written as IPv6")
	}
	return p.Masked(), nil
}

// name tells whether s may be a host's name: a slip in an address is none.
func name(s string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label {
			return false
		}
		for _, c := range label {
			if !(c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
				return false
			}
		}
	}
	last := s[strings.LastIndexByte(strings.TrimSuffix(s, "."), '.')+1:]
	return strings.Trim(last, "0123456789.") != "" && len(s) <= 253
}
