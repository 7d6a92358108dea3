package isolation

import (
	"context"
	"net/netip"
)

// Filter is a packet filter of this machine. NFT and IPTables are two.
type Filter interface {
	// Script returns the rules as the filter's program reads them.
	Script(r Rules) string

	// Apply puts the rules in force, all of them or none, beside what is there.
	Apply(ctx context.Context, r Rules) error

	// Read returns the mark of the rules that are in force, empty where there are none,
	// and ErrIncomplete where some of them are missing or something stands before them.
	Read(ctx context.Context) (mark string, err error)

	// Remove takes the rules away, what is left of them too. It is no error if there are
	// none.
	Remove(ctx context.Context) error
}

// Rules are what may leave; everything else is dropped.
type Rules struct {
	Mark string // of the key; 16 hexadecimal digits
	Pass []Pass
}

// Pass is a destination that packets may leave to. The machine itself always is one.
type Pass struct {
	To    netip.Prefix
	Proto string // "tcp" or "udp"; empty: every protocol
	Port  uint16 // with Proto
	Reply bool   // only to connections that were opened from there; Port is then of this machine
	Note  string // for people: the kind, and the host as it was given
}
