//go:build !unix

package crashtest

import (
	"errors"
	"time"
)

func killAfter(*child, time.Duration) (outcome, error) { return outcome{}, errors.ErrUnsupported }

func closeOnExec(int) {}
