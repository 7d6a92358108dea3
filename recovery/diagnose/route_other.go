//go:build !linux

package diagnose

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Route is errors.ErrUnsupported here: only Linux tells a process without rights which
// station answered.
func Route(_ context.Context, to netip.Addr) (Way, error) {
	return Way{To: to}, fmt.Errorf("route to %v: %w", to, errors.ErrUnsupported)
}
