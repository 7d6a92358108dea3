package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/andon-go/andon/notify"
)

// Action is what somebody wants to do.
type Action string

// The actions.
const (
	View        Action = "view"
	Stop        Action = "stop"        // halt trading
	Narrow      Action = "hold"        // nothing that adds exposure
	Release     Action = "release"     // lift one hold that does not halt
	Acknowledge Action = "acknowledge" // an incident
	Note        Action = "note"        // on the timeline of one
	Approve     Action = "approve"     // a step of a runbook's run
	CloseAll    Action = "close-all"   // plan it, and apply the plan
	Resume      Action = "resume"      // lift every hold that was seen
)

// ErrUnknownPerson says that an Authorizer cannot tell who is asking: the answer is 401,
// and asks for a name and a password.
var ErrUnknownPerson = errors.New("nobody knows who is asking")

// Authorizer says who makes a request, and whether that person may do something. It is
// asked for every request, and is safe for concurrent use.
//
// The person's name is what the timeline says; one that is empty is refused. Any error
// refuses, and ErrUnknownPerson has the browser ask for a name and a password.
type Authorizer interface {
	Authorize(r *http.Request, a Action) (person string, err error)
}

// AuthorizerFunc is an Authorizer made of one function.
type AuthorizerFunc func(r *http.Request, a Action) (person string, err error)

// Authorize is Authorizer's.
func (f AuthorizerFunc) Authorize(r *http.Request, a Action) (string, error) { return f(r, a) }

// Passwords returns an Authorizer of people who show their name and password, as browsers
// ask for them (HTTP Basic), and may do everything. An empty password is nobody's. Use it
// on this machine or behind TLS: the password is sent as it is.
func Passwords(people map[string]notify.Secret) Authorizer {
	known := make(passwords, len(people))
	for name, p := range people {
		if len(p) > 0 && strings.TrimSpace(name) != "" {
			known[name] = sha256.Sum256(p)
		}
	}
	return known
}

type passwords map[string][sha256.Size]byte

// Authorize is Authorizer's. It takes as long for a name that nobody has.
func (p passwords) Authorize(r *http.Request, _ Action) (string, error) {
	name, password, ok := r.BasicAuth()
	want, known := p[name]
	got := sha256.Sum256([]byte(password))
	if same := subtle.ConstantTimeCompare(got[:], want[:]) == 1; !ok || !known || !same {
		return "", ErrUnknownPerson
	}
	return name, nil
}

// here says why a request may not see the console for where it comes from, or nothing.
// The name it was asked for by is looked at first: another site's name that leads here
// (DNS rebinding) gets nothing.
func (c *Console) here(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if len(c.cfg.Hosts) > 0 {
		if slices.ContainsFunc(c.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			return ""
		}
		return "The console is not served under this name: Config.Hosts lists the names it answers to."
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(from); err != nil || ip == nil || !ip.IsLoopback() {
		return "The console answers on this machine only. Use a tunnel (ssh -L), or set Config.Hosts."
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return "The console answers on this machine only, and this came through a proxy. Set Config.Hosts to serve it behind one."
		}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "The console is served as localhost only. Use a tunnel (ssh -L), or set Config.Hosts."
	}
	return ""
}

// who asks the Authorizer, and answers where it refuses.
func (c *Console) who(w http.ResponseWriter, r *http.Request, a Action) (person string, ok bool) {
	person, err := c.cfg.Authorizer.Authorize(r, a)
	person = strings.TrimSpace(person)
	switch {
	case err == nil && person != "":
		return person, true
	case errors.Is(err, ErrUnknownPerson):
		w.Header().Set("WWW-Authenticate", `Basic realm="andon", charset="UTF-8"`)
		c.refuse(w, r, http.StatusUnauthorized, "Who are you? Give a name and a password.")
	case err == nil:
		c.refuse(w, r, http.StatusForbidden, "The Authorizer gave no name, and nothing is done for nobody.")
	default:
		c.cfg.Log.Warn("console: refused", "action", a, "from", r.RemoteAddr, "err", err)
		c.refuse(w, r, http.StatusForbidden, "You may not do this: "+string(a)+".")
	}
	return "", false
}
