package host

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// powerless runs f on a thread without any of root's rights.
func powerless(f func()) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var none [2]unix.CapUserData
		err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
		if err == nil {
			f()
		}
		done <- err
	}()
	return <-done
}

func TestTheWayToTheExchangeIsFollowedWithoutAnyRight(t *testing.T) {
	c := Config{Exchange: listener(t), Within: 500 * time.Millisecond}.withDefaults()
	var text string
	var err error
	require.NoError(t, powerless(func() { text, err = c.route(t.Context()) }))
	require.NoError(t, err)
	require.Regexp(t, `^to 127\.0\.0\.1 from 127\.0\.0\.1 by \w+\n 1  127\.0\.0\.1 `, text)
}
