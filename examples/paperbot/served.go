package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident/console"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/reconcile"
)

// served is the status page and the console over HTTP.
type served struct {
	server *http.Server
	stop   context.CancelFunc
	ended  chan error
}

// serve puts the status page and the console on an address. The console takes the
// operator's name and a password that is made for this run and shown on the screen.
func (d *day) serve(addr string) (*served, error) {
	secret := make([]byte, 12)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	password := hex.EncodeToString(secret)
	card := console.DefaultCard()
	card.Commands = []console.Named{{Name: "Stop trading immediately", To: "touch " + d.path("EMERGENCY_STOP")}}
	card.Files = []console.Named{
		{Name: "Emergency stop flag", To: d.path("EMERGENCY_STOP")}, {Name: "Position database", To: d.path("positions.db")},
		{Name: "Backups", To: d.path("backups")}, {Name: "Application log", To: d.path("trading_bot.log")},
	}
	c, err := console.New(console.Config{
		Name: "paperbot", Public: true, Switch: d.sw, Incidents: d.manager, Timeline: d.journal, Catalog: d.catalog, Card: card,
		Reconcilers: map[string]*reconcile.Reconciler{venueName: d.rec}, Accounts: map[string]andon.Account{venueName: d.ex},
		LookEvery: time.Second, BackupsEvery: 2 * time.Second, Exchanges: []console.Exchange{}, // nobody outside is asked
		Authorizer: console.Passwords(map[string]notify.Secret{d.f.Operator: notify.Secret(password)}), Log: d.log,
	})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{server: &http.Server{Handler: c, ReadHeaderTimeout: 5 * time.Second}, stop: cancel, ended: make(chan error, 2)}
	go func() { s.ended <- c.Run(ctx) }()
	go func() { s.ended <- s.server.Serve(l) }()
	d.screen.printf("status page http://%s/, console http://%s/console: name %q, password %s", l.Addr(), l.Addr(), d.f.Operator, password)
	return s, nil
}

// close ends the pages: the streams first, so that nobody holds the server open.
func (s *served) close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	for range 2 {
		if e := <-s.ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}
