package boottime

import (
	"runtime"
	"testing"
	"time"
)

func TestSleptStandsStillWhileTheMachineIsAwake(t *testing.T) {
	before := Slept()
	for range 1000 {
		if d := Slept() - before; d.Abs() > time.Second {
			t.Fatalf("the machine slept %v during a test", d)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	if up := Uptime(); up <= 0 || up < before {
		t.Fatalf("up for %v and slept for %v", up, before)
	}
	if id := BootID(); id == "" || id != BootID() {
		t.Fatalf("boot id %q", id)
	}
}
