package main

import (
	"crypto/rand"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/andon-go/andon/andontest"
)

// exchange is a venue behind a network: it is reached over HTTP with an API key, outlives
// its clients, and can be cut off.
type exchange struct {
	venue http.Handler
	addr  string
	lines *http.Transport // of everybody who reaches it

	mu      sync.Mutex
	keys    map[string]bool // those that are good
	server  *http.Server
	refused func(r *http.Request) // told of each request with a wrong key
}

const anyPort = "127.0.0.1:0"

// opened begins to serve a venue on loopback. The key is the bot's.
func opened(v *andontest.Venue, refused func(*http.Request)) (e *exchange, key string, err error) {
	e = &exchange{venue: andontest.Handler(v), lines: &http.Transport{}, keys: map[string]bool{}, addr: anyPort, refused: refused}
	return e, e.issue(), e.mend()
}

// issue makes a new key.
func (e *exchange) issue() string {
	key := rand.Text()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys[key] = true
	return key
}

// revoke makes a key worthless.
func (e *exchange) revoke(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.keys, key)
}

func (e *exchange) good(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keys[key]
}

// cut closes the exchange's port and every connection.
func (e *exchange) cut() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return nil
	}
	err := e.server.Close()
	e.server = nil
	return err
}

// mend opens the port again.
func (e *exchange) mend() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", e.addr)
	if err != nil {
		return err
	}
	if e.addr == anyPort {
		e.addr = l.Addr().String() // before anybody can read it; it is the same ever after
	}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second}
	go func(s *http.Server) { _ = s.Serve(l) }(e.server) // it ends when it is closed
	return nil
}

// ServeHTTP lets who has a good key to the venue.
func (e *exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !e.good(r.Header.Get("Authorization")) {
		e.refused(r)
		http.Error(w, "401 Unauthorized", http.StatusUnauthorized)
		return
	}
	e.venue.ServeHTTP(w, r)
}

// as is the exchange as the holder of a key reaches it: the bot, or an intruder.
func (e *exchange) as(key func() string) andontest.Remote {
	return andontest.Remote{URL: "http://" + e.addr + "/", Client: &http.Client{Transport: keyed{e.lines, key}, Timeout: 2 * time.Second}}
}

// keyed shows a key with each request.
type keyed struct {
	*http.Transport

	key func() string
}

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // a RoundTripper leaves the request as it is
	r.Header.Set("Authorization", k.key())
	return k.Transport.RoundTrip(r)
}
