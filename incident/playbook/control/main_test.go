package control_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/andon-go/andon/incident/playbook/control"
	"go.uber.org/goleak"
)

// asStranger has this binary ask for a stop and print what came of it: it is run as another
// user.
const asStranger = "CONTROL_TEST_STRANGER"

func TestMain(m *testing.M) {
	if path := os.Getenv(asStranger); path != "" {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		_, err := control.Dial(path).Stop(ctx, "Mallory", "because")
		fmt.Println(err)
		return
	}
	goleak.VerifyTestMain(m)
}
