//go:build !linux || !(amd64 || arm64)

package crashtest

import (
	"fmt"
	"runtime"
)

func trace(*child, target) ([]Step, outcome, error) {
	return nil, outcome{}, fmt.Errorf("%w: %s/%s", errNoTrace, runtime.GOOS, runtime.GOARCH)
}
