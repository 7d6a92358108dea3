package boottime

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheKernelsFunctionIsFound(t *testing.T) {
	require.NotZero(t, clockGettime(), "every Linux kernel on amd64 has it")
}

// FuzzSymbol feeds damaged images: whatever they say, nothing outside is read.
func FuzzSymbol(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, elfHeader))
	f.Add(slices.Clone(image(sharedPage())))
	f.Fuzz(func(t *testing.T, b []byte) {
		if at := symbol(b, "__vdso_clock_gettime"); at >= maxImage {
			t.Fatalf("offset %d", at)
		}
	})
}
