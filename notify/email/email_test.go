package email_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/email"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

const password = "a password that no server repeats"

// dialLoopback takes every name for this machine.
func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

func message(key string) notify.Message {
	return notify.Message{Key: key, Incident: "INC-20260314-001", Kind: notify.InitialAlert, Level: severity.SEV1, To: "ada@andon.test",
		At: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), Text: "🚨 INCIDENT ALERT - SEV-1\nImpact: Coinbase refuses our keys\nIC: Ada"}
}

func newNotifier(t testing.TB, cfg email.Config) *email.Notifier {
	n, err := email.New(cfg)
	require.NoError(t, err)
	return n
}

// took reports whether a mail is there with the message's key and text.
func (m *mailpit) took(t testing.TB, msg notify.Message) bool {
	for _, l := range m.letters(t, msg.To) {
		if len(l.headers[email.KeyHeader]) == 1 && l.headers[email.KeyHeader][0] == msg.Key && strings.TrimSpace(l.Text) == strings.TrimSpace(msg.Text) {
			return true
		}
	}
	return false
}

func TestConformance(t *testing.T) {
	server := startMailpit(t, "--smtp-require-starttls")
	notifytest.TestNotifier(t, func(t *testing.T) notifytest.Channel {
		server.chaos(t, 0, 0, 0)
		return notifytest.Channel{
			Notifier: newNotifier(t, server.config()), To: "ada@andon.test", Secrets: []string{password},
			Took:   func(m notify.Message) bool { return server.took(t, m) },
			Break:  func() { server.chaos(t, 451, 0, 0) },
			Refuse: func() { server.chaos(t, 0, 550, 0) },
		}
	})
}

func TestAMailSaysWhatItIs(t *testing.T) {
	server := startMailpit(t, "--smtp-require-starttls")
	n := newNotifier(t, server.config())
	for range 2 {
		require.NoError(t, n.Notify(t.Context(), message("auth-failure/coinbase/1/page/1/0")))
	}
	other := message("auth-failure/coinbase/1/page/1/1")
	other.Text = "STOP NOT CONFIRMED: x\nImpact: y\n.\n" + strings.Repeat("long ", 400)
	require.NoError(t, n.Notify(t.Context(), other))
	all := server.letters(t, "ada@andon.test")
	require.Len(t, all, 3)
	require.Equal(t, "[SEV-1] INC-20260314-001 alert: STOP NOT CONFIRMED: x", all[0].Subject)
	require.Equal(t, strings.TrimSpace(other.Text), strings.TrimSpace(all[0].Text), "a dot on a line of its own is no end")
	require.Equal(t, "[SEV-1] INC-20260314-001 alert: Coinbase refuses our keys", all[1].Subject)
	require.Equal(t, all[1].MessageID, all[2].MessageID, "the same message has the same id")
	require.NotEqual(t, all[0].MessageID, all[1].MessageID)
	require.Equal(t, all[0].headers["References"], all[1].headers["References"], "one thread an incident")
	require.NotEmpty(t, all[0].headers["References"])
	require.Equal(t, []string{"auto-generated"}, all[0].headers["Auto-Submitted"])
	require.Equal(t, []string{"auth-failure/coinbase/1/page/1/1"}, all[0].headers[email.KeyHeader])
}

func TestAnswersAreToldApart(t *testing.T) {
	server := startMailpit(t)
	n := newNotifier(t, server.config())
	for _, tc := range []struct {
		sender, recipient, auth int
		permanent               bool
	}{
		{sender: 451}, {recipient: 450}, {recipient: 452}, {auth: 454},
		{sender: 550, permanent: true}, {recipient: 554, permanent: true}, {auth: 535, permanent: true},
	} {
		server.chaos(t, tc.sender, tc.recipient, tc.auth)
		err := n.Notify(t.Context(), message("k"))
		e, ok := errors.AsType[*notify.DeliveryError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, tc.permanent, e.Permanent, "%v", err)
		require.Equal(t, tc.sender+tc.recipient+tc.auth, e.Status, "%v", err)
	}
	server.chaos(t, 0, 0, 0)
	for _, to := range []string{"", "nobody", "Ada <ada@andon.test>", "a@b\r\nBcc: c@d"} {
		m := message("k")
		m.To = to
		require.ErrorIs(t, n.Notify(t.Context(), m), notify.ErrPermanent, to)
	}
	require.Empty(t, server.letters(t, "ada@andon.test"))
}

func TestACertificateThatIsNotTheHostsIsRefused(t *testing.T) {
	server := startMailpit(t)
	for name, change := range map[string]func(*email.Config){
		"nobody knows it": func(c *email.Config) { c.TLS = nil },
		"another's":       func(c *email.Config) { c.Host = "other.andon.test" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := server.config()
			change(&cfg)
			require.ErrorContains(t, newNotifier(t, cfg).Notify(t.Context(), message("k")), "certificate")
			require.Empty(t, server.letters(t, "ada@andon.test"))
		})
	}
}

// line is an SMTP server of a few lines, for what mailpit does not do.
func line(t *testing.T, serve func(net.Conn)) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { require.NoError(t, l.Close()); <-done })
	return l.Addr().(*net.TCPAddr).Port
}

func TestNothingGoesOutInTheClear(t *testing.T) {
	port := line(t, func(c net.Conn) {
		fmt.Fprint(c, "220 hello\r\n")
		buffer := make([]byte, 4096)
		for {
			n, err := c.Read(buffer)
			if err != nil {
				return
			}
			said := string(buffer[:n])
			if strings.HasPrefix(said, "EHLO") {
				fmt.Fprint(c, "250-hello\r\n250 AUTH PLAIN LOGIN\r\n")
				continue
			}
			if strings.HasPrefix(said, "MAIL") || strings.HasPrefix(said, "AUTH") {
				t.Errorf("it said %q in the clear", said)
			}
			fmt.Fprint(c, "250 ok\r\n")
		}
	})
	n := newNotifier(t, email.Config{Host: "mail.andon.test", Port: port, From: "andon@andon.test", Username: "andon", Password: notify.Secret(password), Dial: dialLoopback})
	err := n.Notify(t.Context(), message("k"))
	require.ErrorIs(t, err, notify.ErrPermanent)
	require.ErrorContains(t, err, "STARTTLS")
}

func TestATryEndsWithItsContext(t *testing.T) {
	hung := make(chan struct{})
	port := line(t, func(c net.Conn) { // it greets, and never says another word
		fmt.Fprint(c, "220 hello\r\n")
		<-hung
	})
	defer close(hung)
	n := newNotifier(t, email.Config{Host: "localhost", Port: port, From: "andon@andon.test", Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err := n.Notify(ctx, message("k")) // an hour, if it did not end with ctx
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, notify.ErrPermanent)
}

func TestNobodyListens(t *testing.T) {
	n := newNotifier(t, email.Config{Host: "localhost", Port: 1, From: "andon@andon.test"})
	err := n.Notify(t.Context(), message("k"))
	require.Error(t, err)
	require.NotErrorIs(t, err, notify.ErrPermanent, "it may be back in a moment")
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := email.New(email.Config{Port: 70000, From: "x", Username: "u", TLS: &tls.Config{InsecureSkipVerify: true}, Timeout: -1})
	for _, want := range []string{"Host: is", "Port: is 70000", `From: "x" is no e-mail address`, "Username: and Password", "TLS: skips", "Timeout: is -1ns"} {
		require.ErrorContains(t, err, want)
	}
	_, err = email.New(email.Config{Host: "smtp.andon.test:587", From: "andon@andon.test"})
	require.ErrorContains(t, err, "without the port")
}

func Example() {
	n, err := email.New(email.Config{Host: "smtp.example.com", From: "andon@example.com", Username: "andon", Password: notify.Secret("...")})
	if err != nil {
		fmt.Println(err)
		return
	}
	courier, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{notify.Email: n}})
	if err != nil {
		fmt.Println(err)
		return
	}
	lead := notify.ParseContact("lead", "lead@example.com | +1-555-010-0199", notify.LeadEngineer)
	fmt.Println(courier.Channels(), lead.Addresses[0])
	// Output: [email] {email lead@example.com}
}
