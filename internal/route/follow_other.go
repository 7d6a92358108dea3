//go:build !linux

package route

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Follow is errors.ErrUnsupported here: only Linux tells a process without rights which
// station answered.
func Follow(context.Context, netip.Addr, time.Duration, func(netip.Addr, time.Duration)) (ended string, err error) {
	return "", errors.ErrUnsupported
}
