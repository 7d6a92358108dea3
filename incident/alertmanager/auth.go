package alertmanager

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// check decides who may post.
type check struct {
	bearer, basic [sha256.Size]byte // digests, so that a comparison takes the same time whatever the length
	useBearer     bool
	useBasic      bool
	loopbackOnly  bool
}

func newCheck(c Config) check {
	return check{
		bearer: sha256.Sum256(c.Bearer), useBearer: len(c.Bearer) > 0,
		basic: digest(c.User, string(c.Password)), useBasic: len(c.Password) > 0,
		loopbackOnly: c.LoopbackOnly,
	}
}

// digest of a user and a password, neither of which can run into the other.
func digest(user, password string) [sha256.Size]byte {
	u := sha256.Sum256([]byte(user))
	p := sha256.Sum256([]byte(password))
	return sha256.Sum256(append(u[:], p[:]...))
}

// challenge is the WWW-Authenticate header.
func (c check) challenge() string {
	if c.useBearer {
		return `Bearer realm="andon"`
	}
	return `Basic realm="andon"`
}

// allows returns nil for a request that may go on.
func (c check) allows(r *http.Request) *refusal {
	if c.loopbackOnly {
		return local(r)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	shown := sha256.Sum256([]byte(strings.TrimSpace(token)))
	user, password, _ := r.BasicAuth()
	both := digest(user, password)
	byBearer := subtle.ConstantTimeCompare(shown[:], c.bearer[:]) == 1 && c.useBearer && strings.EqualFold(scheme, "bearer")
	byBasic := subtle.ConstantTimeCompare(both[:], c.basic[:]) == 1 && c.useBasic
	if byBearer || byBasic {
		return nil
	}
	return &refusal{http.StatusUnauthorized, "want the token or the password of this handler"}
}

// local refuses what has not come from this machine directly. A page in a browser of
// this machine cannot post JSON to us without being asked for its origin first, and
// a name that an attacker has pointed at 127.0.0.1 is not one of ours.
func local(r *http.Request) *refusal {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return &refusal{http.StatusForbidden, "this handler answers its own machine alone"}
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if r.Header.Get(name) != "" {
			return &refusal{http.StatusForbidden, "this handler answers no proxy"}
		}
	}
	asked := r.Host
	if h, _, err := net.SplitHostPort(asked); err == nil {
		asked = h
	}
	asked = strings.Trim(asked, "[]")
	if ip := net.ParseIP(asked); asked != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return &refusal{http.StatusForbidden, "this handler has no such name"}
	}
	return nil
}
