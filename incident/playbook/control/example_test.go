package control_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/andon-go/andon/incident/playbook/control"
	"github.com/andon-go/andon/safety"
)

// A bot serves its socket; a command line stops it.
func Example() {
	dir, err := os.MkdirTemp("", "bot")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))

	sw, err := safety.Open(ctx, safety.Config{Name: "btc-maker", Dir: dir, Flags: safety.FlagsIn(dir), Log: quiet})
	if err != nil {
		log.Fatal(err)
	}
	defer sw.Close()
	path := filepath.Join(dir, "run", "control.sock")
	server, err := control.New(control.Config{Path: path, Switch: sw, Log: quiet})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()

	client := control.Dial(path)
	for _, err = client.Status(ctx); err != nil; _, err = client.Status(ctx) {
		time.Sleep(time.Millisecond) // until it listens
	}
	stopped, err := client.Stop(ctx, "Ada", "prices are wrong")
	fmt.Println(stopped.State, "by", stopped.Hold.By, err)
	cancel()
	fmt.Println("server:", <-ended)
	// Output:
	// halted by Ada <nil>
	// server: <nil>
}
