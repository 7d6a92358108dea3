package email

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"net/textproto"
	"os"
	"strings"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/wneessen/go-mail"
)

// Config is what a Notifier needs. Host and From have no default.
type Config struct {
	// Host is the SMTP server's name, which its certificate must have.
	Host string

	// Port is the server's. Defaults to 587.
	Port int

	// From is the sender's address.
	From string

	// Username and Password log in, where the server wants that. Both or neither.
	Username string
	Password notify.Secret

	// HELO is the name that we give ourselves. Defaults to the machine's.
	HELO string

	// TLS is what STARTTLS is done with. Defaults to the system's roots and TLS 1.2.
	TLS *tls.Config

	// Dial makes the connection. Defaults to that of net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Timeout bounds one try from connecting to the last answer. Defaults to 10 s.
	Timeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Port = cmp.Or(c.Port, 587)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	if c.HELO == "" {
		name, err := os.Hostname()
		if err != nil || name == "" {
			name = "localhost" // servers rarely look at it
		}
		c.HELO = name
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.TLS = c.TLS.Clone()
	c.TLS.ServerName = cmp.Or(c.TLS.ServerName, c.Host)
	return c
}

func (c Config) validate() error {
	var problems []error
	if c.Host == "" || strings.ContainsAny(c.Host, " :/\r\n") && net.ParseIP(c.Host) == nil {
		problems = append(problems, fmt.Errorf("Host: is %q, want a name or an IP address, without the port", c.Host))
	}
	if c.Port < 1 || c.Port > 65535 {
		problems = append(problems, fmt.Errorf("Port: is %d, want 1 to 65535", c.Port))
	}
	if _, err := address(c.From); err != nil {
		problems = append(problems, fmt.Errorf("From: %w", err))
	}
	if (c.Username == "") != (len(c.Password) == 0) {
		problems = append(problems, errors.New("Username: and Password are wanted both or neither"))
	}
	if c.TLS.InsecureSkipVerify && !loopback(c.Host) {
		problems = append(problems, errors.New("TLS: skips the check of the certificate, so that anybody could read the messages"))
	}
	if c.Timeout < 0 {
		problems = append(problems, fmt.Errorf("Timeout: is %v, want a positive duration", c.Timeout))
	}
	return errors.Join(problems...)
}

// address reads an address alone, without a name.
func address(s string) (string, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || strings.ContainsAny(s, "\r\n") {
		return "", fmt.Errorf("%q is no e-mail address", s)
	}
	return a.Address, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Notifier sends messages, each over a connection of its own. Safe for concurrent use.
type Notifier struct {
	cfg Config
}

// New returns a Notifier, or an error that names every field that is wrong. It calls
// nobody.
func New(cfg Config) (*Notifier, error) {
	cfg.Password = bytes.Clone(cfg.Password)
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Notifier{cfg}, nil
}

// Format writes "email" whatever the verb, since fmt would print the password.
func (n *Notifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "email") } // fmt takes no error here

// Notify sends the message to the address in m.To, once.
func (n *Notifier) Notify(ctx context.Context, m notify.Message) error {
	if err := ctx.Err(); err != nil {
		return &notify.DeliveryError{Err: fmt.Errorf("email: %w", err)}
	}
	letter, err := n.letter(m)
	if err != nil {
		return &notify.DeliveryError{Permanent: true, Err: fmt.Errorf("email: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	if err := n.send(ctx, letter); err != nil {
		return n.failed(ctx, err)
	}
	return nil
}

// send hands the letter to the server.
func (n *Notifier) send(ctx context.Context, letter *mail.Msg) error {
	// The connection is ours: go-mail leaves it open when the greeting fails, and goes
	// on reading when ctx has ended.
	release := func() {}
	defer func() { release() }()
	dial := func(dialing context.Context, network, to string) (net.Conn, error) {
		c, err := n.cfg.Dial(dialing, network, to)
		if err != nil {
			return nil, err
		}
		hangUp := func() { _ = c.Close() } // a second close says no more than the first
		stop := context.AfterFunc(ctx, hangUp)
		release = func() { stop(); hangUp() }
		return c, nil
	}
	client, err := mail.NewClient(n.cfg.Host, n.options(dial)...)
	if err != nil {
		return err
	}
	server, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	if err := client.SendWithSMTPClient(server, letter); err != nil {
		return err
	}
	_ = client.CloseWithSMTPClient(server) // it has the message: how the goodbye goes changes nothing
	return nil
}

func (n *Notifier) options(dial mail.DialContextFunc) []mail.Option {
	policy := mail.TLSMandatory
	if loopback(n.cfg.Host) {
		policy = mail.TLSOpportunistic
	}
	options := []mail.Option{mail.WithPort(n.cfg.Port), mail.WithTimeout(n.cfg.Timeout), mail.WithHELO(n.cfg.HELO),
		mail.WithTLSPolicy(policy), mail.WithTLSConfig(n.cfg.TLS.Clone()), mail.WithDialContextFunc(dial), mail.WithoutNoop()}
	if n.cfg.Username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(n.cfg.Username), mail.WithPassword(string(n.cfg.Password)))
	}
	return options
}

// failed maps an error of the exchange. What the server says may repeat what it was
// told, so that the password is taken out.
func (n *Notifier) failed(ctx context.Context, err error) error {
	e := &notify.DeliveryError{}
	text := err.Error()
	if len(n.cfg.Password) > 0 {
		text = strings.ReplaceAll(text, string(n.cfg.Password), "[secret]")
	}
	e.Err = fmt.Errorf("email by %s: %s", n.cfg.Host, strings.TrimSpace(text))
	if ended := ctx.Err(); ended != nil {
		e.Err = fmt.Errorf("%w: %w", e.Err, ended)
		return e
	}
	if said, ok := errors.AsType[*mail.SendError](err); ok {
		e.Status = said.ErrorCode()
	}
	if said, ok := errors.AsType[*textproto.Error](err); ok {
		e.Status = said.Code
	}
	e.Permanent = e.Status >= 500 || strings.Contains(text, "STARTTLS") && e.Status == 0
	return e
}
