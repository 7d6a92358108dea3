//go:build !unix

package host

import (
	"errors"
	"net"
)

func setTTL(*net.IPConn, int) error { return errors.ErrUnsupported }
