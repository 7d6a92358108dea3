package bluefin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/andon-go/andon/internal/resthttp"
)

// session is what a login gave. Times are by our clock.
type session struct {
	access, refresh           string
	accessUntil, refreshUntil time.Time
	renewAt                   time.Time // before accessUntil
}

// sessions keeps the session that is in use. One login at a time.
type sessions struct {
	turn chan struct{} // holds one token
	mu   sync.Mutex
	now  session
}

func newSessions() *sessions {
	s := &sessions{turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

func (s *sessions) get() session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *sessions) set(n session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = n
}

// drop forgets a session that the venue does not accept.
func (s *sessions) drop(access string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.access == access {
		s.now = session{}
	}
}

// session returns one that is good for now: the one there is, a renewed one, or a new
// one.
func (v *Venue) session(ctx context.Context) (session, error) {
	if s := v.sessions.get(); time.Now().Before(s.renewAt) {
		return s, nil
	}
	select {
	case <-v.sessions.turn:
		defer func() { v.sessions.turn <- struct{}{} }()
	case <-ctx.Done():
		return session{}, fmt.Errorf("bluefin: login: %w", context.Cause(ctx))
	}
	s := v.sessions.get()
	now := time.Now()
	if now.Before(s.renewAt) {
		return s, nil // somebody else was faster
	}
	if s.refresh != "" && now.Before(s.refreshUntil) {
		renewed, err := v.renew(ctx, s.refresh)
		if err == nil {
			v.sessions.set(renewed)
			return renewed, nil
		}
		if !refusedKey(err) && now.Before(s.accessUntil) {
			return s, nil // it is good for a while yet
		}
	}
	s, err := v.login(ctx)
	if err != nil {
		return session{}, err
	}
	v.sessions.set(s)
	return s, nil
}

// login signs the account's address and the venue's time. The venue verifies the
// signature over the very bytes of the body.
func (v *Venue) login(ctx context.Context) (session, error) {
	var body []byte
	sent := time.Now()
	for again := false; ; again = true {
		var err error
		body, err = json.Marshal(struct {
			AccountAddress string `json:"accountAddress"`
			SignedAtMillis int64  `json:"signedAtMillis"`
			Audience       string `json:"audience"`
		}{v.config.Account, v.clock.Now().UnixMilli(), "api"})
		if err != nil {
			return session{}, fmt.Errorf("bluefin: login: %w", err)
		}
		before, _, _ := v.clock.Offset()
		answer, err := v.auth.Do(ctx, resthttp.Request{
			Method: http.MethodPost, Path: "/auth/v2/token", Body: body, Repeat: true, Urgent: true,
			Authorize: func(_ context.Context, h http.Header, _ time.Time) error {
				h.Set("payloadSignature", v.config.Key.signMessage(body))
				return nil
			},
		})
		if err == nil {
			s, err := decodeSession(answer.Body, sent)
			if err != nil {
				return session{}, fmt.Errorf("bluefin: login: %w", err)
			}
			return s, nil
		}
		// The body holds the time, so that a clock that was wrong takes a new body.
		if after, _, _ := v.clock.Offset(); !again && after != before && statusOf(err)/100 == 4 {
			continue
		}
		return session{}, v.named(fmt.Errorf("login: %w", err))
	}
}

func (v *Venue) renew(ctx context.Context, refresh string) (session, error) {
	body, err := json.Marshal(map[string]string{"refreshToken": refresh})
	if err != nil {
		return session{}, err
	}
	sent := time.Now()
	answer, err := v.auth.Do(ctx, resthttp.Request{
		Method: http.MethodPut, Path: "/auth/token/refresh", Body: body, Urgent: true, Secrets: []string{refresh},
	})
	if err != nil {
		return session{}, err
	}
	return decodeSession(answer.Body, sent)
}

// decodeSession reads the answer of a login or a renewal. It counts from when it was
// asked for. Its errors show nothing of the answer, which holds secrets.
func decodeSession(body []byte, asked time.Time) (session, error) {
	var w struct {
		Access       *string `json:"accessToken"`
		AccessValid  *int64  `json:"accessTokenValidForSeconds"`
		Refresh      *string `json:"refreshToken"`
		RefreshValid *int64  `json:"refreshTokenValidForSeconds"`
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return session{}, errors.New("the answer is not what it should be")
	}
	var f resthttp.Fields
	s := session{access: f.Text("accessToken", w.Access), refresh: f.Text("refreshToken", w.Refresh)}
	life := seconds(&f, "accessTokenValidForSeconds", w.AccessValid)
	s.accessUntil, s.renewAt = asked.Add(life), asked.Add(life*2/3)
	s.refreshUntil = asked.Add(seconds(&f, "refreshTokenValidForSeconds", w.RefreshValid))
	return s, f.Err("the answer")
}

func seconds(f *resthttp.Fields, name string, n *int64) time.Duration {
	v := resthttp.Need(f, name, n)
	const most = 10 * 365 * 24 * 3600
	if n != nil && (v <= 0 || v > most) {
		f.Wrong("%s is %d", name, v)
		return 0
	}
	return time.Duration(v) * time.Second
}
