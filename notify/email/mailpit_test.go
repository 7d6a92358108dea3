package email_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/internal/needs"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/email"
	"github.com/stretchr/testify/require"
)

// mailpit is a real SMTP server on loopback.
type mailpit struct {
	host  string // its name in the certificate
	port  int
	api   string
	roots *x509.CertPool
}

// binary finds mailpit, or ends the test.
func binary(t testing.TB) string {
	if path := os.Getenv("ANDON_MAILPIT"); path != "" {
		return path
	}
	path, err := exec.LookPath("mailpit")
	if err != nil {
		needs.Missing(t, "mailpit in PATH or ANDON_MAILPIT (go install github.com/axllent/mailpit@latest)")
	}
	return path
}

// startMailpit starts a server of its own for the test.
func startMailpit(t testing.TB, flags ...string) *mailpit {
	bin, dir := binary(t), t.TempDir()
	m := &mailpit{host: "mail.andon.test"}
	cert, key := m.certificate(t, dir)
	var last string
	for range 5 { // a port that was free a moment ago may be taken
		smtp, web := freePort(t), freePort(t)
		var out bytes.Buffer
		cmd := exec.Command(bin, append([]string{"--disable-version-check", "--smtp-disable-rdns", "--enable-chaos", "--smtp-auth-accept-any",
			"--smtp", "127.0.0.1:" + smtp, "--listen", "127.0.0.1:" + web, "--database", filepath.Join(dir, web+".db"),
			"--smtp-tls-cert", cert, "--smtp-tls-key", key}, flags...)...)
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		exited := make(chan struct{})
		go func() { _ = cmd.Wait(); close(exited) }() // killed in the end, which is an error
		m.port, _ = strconv.Atoi(smtp)
		m.api = "http://127.0.0.1:" + web
		stop := func() { _ = cmd.Process.Kill(); <-exited }
		if m.ready(exited) {
			t.Cleanup(stop)
			return m
		}
		stop()
		last = out.String()
	}
	t.Fatalf("mailpit does not start: %s", last)
	return nil
}

// ready waits until the server answers on both ports, or has exited.
func (m *mailpit) ready(exited chan struct{}) bool {
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-exited:
			return false
		default:
		}
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(m.port)))
		if err != nil {
			continue
		}
		_ = c.Close()
		if r, err := http.Get(m.api + "/readyz"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// certificate writes a certificate for the server's name.
func (m *mailpit) certificate(t testing.TB, dir string) (certFile, keyFile string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: m.host}, DNSNames: []string{m.host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	m.roots = x509.NewCertPool()
	m.roots.AddCert(parsed)
	return certFile, keyFile
}

// config reaches the server by its name, as if it were far away.
func (m *mailpit) config() email.Config {
	return email.Config{Host: m.host, Port: m.port, From: "andon@andon.test", Username: "andon", Password: notify.Secret(password),
		TLS: &tls.Config{RootCAs: m.roots}, Dial: dialLoopback, Timeout: time.Minute}
}

// chaos makes the server refuse senders, recipients or log-ins with a code; 0 is never.
func (m *mailpit) chaos(t testing.TB, sender, recipient, authentication int) {
	trigger := func(code int) map[string]int {
		if code == 0 {
			return map[string]int{"ErrorCode": 451, "Probability": 0}
		}
		return map[string]int{"ErrorCode": code, "Probability": 100}
	}
	body, err := json.Marshal(map[string]any{"Sender": trigger(sender), "Recipient": trigger(recipient), "Authentication": trigger(authentication)})
	require.NoError(t, err)
	request, err := http.NewRequest(http.MethodPut, m.api+"/api/v1/chaos", bytes.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", answer)
}

func (m *mailpit) get(t testing.TB, path string, into any) {
	response, err := http.Get(m.api + path)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode, path)
	require.NoError(t, json.NewDecoder(response.Body).Decode(into))
}

// letter is a mail that the server has.
type letter struct {
	ID, MessageID, Subject, Text string
	headers                      map[string][]string
}

// letters returns the mails to an address, the latest first.
func (m *mailpit) letters(t testing.TB, to string) []letter {
	var found struct{ Messages []struct{ ID string } }
	m.get(t, "/api/v1/search?limit=100&query="+url.QueryEscape("to:"+to), &found)
	var all []letter
	for _, x := range found.Messages {
		var l letter
		m.get(t, "/api/v1/message/"+x.ID, &l)
		m.get(t, "/api/v1/message/"+x.ID+"/headers", &l.headers)
		l.Text = strings.ReplaceAll(l.Text, "\r\n", "\n")
		all = append(all, l)
	}
	return all
}
