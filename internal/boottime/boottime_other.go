//go:build !linux

package boottime

import "time"

func find() (Clock, error) { return Clock{}, ErrUnsupported }

func (Clock) now() time.Duration { return Never }
