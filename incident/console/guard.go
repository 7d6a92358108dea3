package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tokenFor is how long a page's forms may be used.
const tokenFor = 12 * time.Hour

// maxUsed is how many used tokens are remembered; beyond that nothing but a stop is taken.
const maxUsed = 100_000

// guard keeps forms from being forged, replayed and hammered. A token belongs to one
// session of one person in one process, and is good once.
type guard struct {
	key       []byte
	perMinute int

	mu     sync.Mutex
	used   map[string]time.Time // by token: until when it would be good
	minute time.Time
	asked  map[string]int // by person, in this minute
}

func newGuard(key []byte, perMinute int) *guard {
	return &guard{key: key, perMinute: perMinute, used: map[string]time.Time{}, asked: map[string]int{}}
}

// cookie is the session's. It says nothing by itself: the Authorizer knows people.
const cookie = "andon_session"

// session returns the session of a browser, and begins one where there is none.
func (c *Console) session(w http.ResponseWriter, r *http.Request) (string, error) {
	if s, ok := sessionOf(r); ok {
		return s, nil
	}
	id := make([]byte, 24)
	if _, err := rand.Read(id); err != nil {
		return "", fmt.Errorf("session: %w", err)
	}
	s := base64.RawURLEncoding.EncodeToString(id)
	http.SetCookie(w, &http.Cookie{
		Name: cookie, Value: s, Path: c.cfg.Base + "/console", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https", // whoever lies gets no cookie, and is refused
	})
	return s, nil
}

func sessionOf(r *http.Request) (string, bool) {
	s, err := r.Cookie(cookie)
	if err != nil || len(s.Value) != 32 {
		return "", false
	}
	return s.Value, true
}

// token returns a token for the forms of one page.
func (g *guard) token(session, person string, now time.Time) (string, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	t := strconv.FormatInt(now.Add(tokenFor).Unix(), 10) + "." + hex.EncodeToString(nonce)
	return t + "." + g.sign(session, person, t), nil
}

func (g *guard) sign(session, person, t string) string {
	m := hmac.New(sha256.New, g.key)
	fmt.Fprintf(m, "%d.%s.%d.%s.%s", len(session), session, len(person), person, t) // a hash takes everything
	return hex.EncodeToString(m.Sum(nil))
}

var (
	errForeign = errors.New("this did not come from the console's own page, and nothing was done")
	errOld     = errors.New("this page is too old, of another session, or from before a restart of the bot, and nothing was done: open the console again")
	errTwice   = errors.New("this was sent before, and is done once: look at the console before doing it again")
	errMany    = errors.New("too many actions within a minute, and nothing was done; stopping is never counted")
)

// spend takes a token, once.
func (g *guard) spend(session, person, token string, now time.Time) error {
	at := strings.LastIndexByte(token, '.')
	if at < 0 || !hmac.Equal([]byte(token[at+1:]), []byte(g.sign(session, person, token[:at]))) {
		return errOld
	}
	until, _, _ := strings.Cut(token, ".")
	unix, err := strconv.ParseInt(until, 10, 64)
	if err != nil || !now.Before(time.Unix(unix, 0)) {
		return errOld
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.used[token]; ok {
		return errTwice
	}
	if len(g.used) >= maxUsed {
		for t, end := range g.used {
			if now.After(end) {
				delete(g.used, t)
			}
		}
		if len(g.used) >= maxUsed {
			return errMany
		}
	}
	g.used[token] = time.Unix(unix, 0)
	return nil
}

// count refuses a person who asks for too much.
func (g *guard) count(person string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := now.Sub(g.minute); d >= time.Minute || d < 0 {
		g.minute = now
		clear(g.asked)
	}
	if g.asked[person] >= g.perMinute {
		return errMany
	}
	g.asked[person]++
	return nil
}

// ownPage reports whether a form was sent by a page of this very origin, by what the
// browser says of it, which no page can change. A request that says nothing is refused.
func ownPage(r *http.Request) error {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if site != "" && site != "same-origin" || site == "" && origin == "" {
		return errForeign
	}
	if origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return errForeign
		}
	}
	return nil
}
