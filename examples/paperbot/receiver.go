package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/webhook"
)

// receiver is the other end of the webhook: a server on loopback that takes only what
// is signed with the secret. It stands for the team's pager.
type receiver struct {
	secret notify.Secret
	server *http.Server
	url    string
	served chan error

	mu       sync.Mutex
	accepted map[string]int // by dedup key
	refused  int
}

func newReceiver(secret notify.Secret) (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{secret: secret, url: "http://" + l.Addr().String() + "/page", served: make(chan error, 1), accepted: map[string]int{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go func() { r.served <- r.server.Serve(l) }()
	return r, nil
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	if err == nil {
		err = webhook.Verify(r.secret, req.Header, body, time.Now(), time.Minute)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.refused++
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	r.accepted[req.Header.Get(webhook.IdempotencyKey)]++
	w.WriteHeader(http.StatusNoContent)
}

// counts returns how many different messages were accepted, and how many refused.
func (r *receiver) counts() (accepted, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.accepted), r.refused
}

func (r *receiver) close() error {
	err := r.server.Close()
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
