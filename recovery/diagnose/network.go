package diagnose

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/andon-go/andon/internal/route"
)

// Reach is the way to an endpoint.
type Reach struct {
	Endpoint  string
	Addresses []string
	DNS       time.Duration // how long the name took

	// From is the address of this host on the way, Interface the device that it
	// leaves by; the latter is empty where the system does not say.
	From      string
	Interface string

	// Min, Median and Max are how long a connection took, of those that succeeded.
	Min, Median, Max time.Duration
	Tried            int
	Failed           int
	Problem          string // of the last that failed
}

func (r Reach) lines() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is %s, the name took %v\n", r.Endpoint, strings.Join(r.Addresses, " "), r.DNS)
	fmt.Fprintf(&b, "from %s by %q: %d of %d connections failed, min %v, median %v, max %v\n", r.From, r.Interface, r.Failed, r.Tried, r.Min, r.Median, r.Max)
	if r.Problem != "" {
		fmt.Fprintf(&b, "the last that failed: %s\n", r.Problem)
	}
	return b.String()
}

// Network resolves an endpoint, "api.exchange.com:443", and connects to it by TCP a
// number of times, one after the other. It sends nothing. The error is why nothing is
// known of its latency: the name has no address, or no connection succeeded.
func Network(ctx context.Context, endpoint string, tries int) (Reach, error) {
	r := Reach{Endpoint: endpoint, Tried: tries}
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return r, err
	}
	began := time.Now()
	r.Addresses, err = net.DefaultResolver.LookupHost(ctx, host)
	r.DNS = time.Since(began)
	if err != nil {
		return r, err
	}
	var took []time.Duration
	var last error
	for range tries {
		d, from, err := connect(ctx, net.JoinHostPort(r.Addresses[0], port))
		if err != nil {
			r.Failed++
			r.Problem, last = err.Error(), err
			if ctx.Err() != nil {
				break
			}
			continue
		}
		took = append(took, d)
		r.From = from
	}
	if len(took) == 0 {
		return r, errors.Join(fmt.Errorf("no connection to %s succeeded", endpoint), last)
	}
	slices.Sort(took)
	r.Min, r.Median, r.Max = took[0], took[len(took)/2], took[len(took)-1]
	r.Interface = route.Device(r.From)
	return r, nil
}

func connect(ctx context.Context, address string) (took time.Duration, from string, err error) {
	began := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, "", err
	}
	took = time.Since(began)
	from, _, err = net.SplitHostPort(conn.LocalAddr().String())
	return took, from, errors.Join(err, conn.Close())
}
