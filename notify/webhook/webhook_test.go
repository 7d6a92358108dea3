package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/andon-go/andon/notify/webhook"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secretText = "a secret of both sides"

// receiver is an HTTP server that checks what it is sent and keeps it. It is broken
// by setting answer.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	messages map[string]notify.Message // by dedup key
	headers  []http.Header
	answer   http.HandlerFunc // nil: take the message
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{messages: map[string]notify.Message{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err == nil {
		err = webhook.Verify(notify.Secret(secretText), q.Header, body, time.Now(), time.Minute)
	}
	var m notify.Message
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil || q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.headers = append(r.headers, q.Header)
	answer := r.answer
	if answer == nil {
		r.messages[m.Key] = m
	}
	r.mu.Unlock()
	if answer != nil {
		answer(w, q)
	}
}

func (r *receiver) fail(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) took(m notify.Message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	got, ok := r.messages[m.Key]
	m.To = ""
	return ok && reflect.DeepEqual(got, m)
}

func (r *receiver) requests() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.headers
}

func newNotifier(t *testing.T) *webhook.Notifier {
	n, err := webhook.New(webhook.Config{Secret: notify.Secret(secretText)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestConformance(t *testing.T) {
	notifytest.TestNotifier(t, func(t *testing.T) notifytest.Channel {
		r := newReceiver(t)
		return notifytest.Channel{
			Notifier: newNotifier(t),
			To:       r.URL + "/hook/tOkEn?key=hIdDeN",
			Took:     r.took,
			Secrets:  []string{secretText, "tOkEn", "hIdDeN"},
			Break:    func() { r.fail(status(http.StatusBadGateway)) },
			Refuse:   func() { r.fail(status(http.StatusForbidden)) },
			Throttle: func(d time.Duration) {
				r.fail(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", strconv.Itoa(int(d/time.Second)))
					w.WriteHeader(http.StatusTooManyRequests)
				})
			},
			Hang: func() { r.fail(func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }) },
		}
	})
}

func TestAnswers(t *testing.T) {
	date := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC).Format(http.TimeFormat)
	later := time.Date(2026, 3, 14, 9, 28, 0, 0, time.UTC).Format(http.TimeFormat)
	for _, tc := range []struct {
		name       string
		status     int
		header     map[string]string
		permanent  bool
		retryAfter time.Duration
	}{
		{name: "429 with seconds", status: 429, header: map[string]string{"Retry-After": "120"}, retryAfter: 2 * time.Minute},
		{name: "503 with a date, by the receiver's clock", status: 503, header: map[string]string{"Retry-After": later, "Date": date}, retryAfter: 67 * time.Second},
		{name: "503 with a date that has passed", status: 503, header: map[string]string{"Retry-After": date, "Date": later}},
		{name: "429 without a wish", status: 429},
		{name: "429 with a negative wish", status: 429, header: map[string]string{"Retry-After": "-5"}},
		{name: "429 with nonsense", status: 429, header: map[string]string{"Retry-After": "soon"}},
		{name: "429 with a wish of years", status: 429, header: map[string]string{"Retry-After": "999999999"}, retryAfter: 24 * time.Hour},
		{name: "429 with more digits than fit", status: 429, header: map[string]string{"Retry-After": "99999999999999999999"}},
		{name: "500", status: 500},
		{name: "502", status: 502},
		{name: "408", status: 408},
		{name: "425", status: 425},
		{name: "400", status: 400, permanent: true},
		{name: "401", status: 401, permanent: true},
		{name: "404", status: 404, permanent: true},
		{name: "410 with a wish that means nothing", status: 410, header: map[string]string{"Retry-After": "5"}, permanent: true},
		{name: "304", status: 304, permanent: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newReceiver(t)
			r.fail(func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.status)
			})
			err := newNotifier(t).Notify(t.Context(), notify.Message{Key: "k", To: r.URL})
			e, ok := errors.AsType[*notify.DeliveryError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.status, e.Status)
			require.Equal(t, tc.permanent, errors.Is(err, notify.ErrPermanent))
			require.Equal(t, tc.retryAfter, e.RetryAfter)
			require.Len(t, r.requests(), 1, "one call, one try")
		})
	}
	for _, code := range []int{200, 201, 202, 204} {
		r := newReceiver(t)
		r.fail(status(code))
		require.NoError(t, newNotifier(t).Notify(t.Context(), notify.Message{To: r.URL}), "%d", code)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere, r := newReceiver(t), newReceiver(t)
	r.fail(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	err := newNotifier(t).Notify(t.Context(), notify.Message{To: r.URL})
	require.ErrorIs(t, err, notify.ErrPermanent)
	require.Empty(t, elsewhere.requests())
}

func TestTheDedupKeyIsTheSameOnEachTry(t *testing.T) {
	r := newReceiver(t)
	n := newNotifier(t)
	for _, key := range []string{"auth-failure/venue%2Fcoinbase/1/page/1/0", "ü \r\nX: y"} {
		require.NoError(t, n.Notify(t.Context(), notify.Message{Key: key, To: r.URL}))
		require.NoError(t, n.Notify(t.Context(), notify.Message{Key: key, To: r.URL}))
	}
	got := r.requests()
	require.Equal(t, "auth-failure/venue%2Fcoinbase/1/page/1/0", got[0].Get(webhook.IdempotencyKey))
	require.Equal(t, got[0].Get(webhook.IdempotencyKey), got[1].Get(webhook.IdempotencyKey))
	require.Equal(t, "%C3%BC%20%0D%0AX:%20y", got[2].Get(webhook.IdempotencyKey))
	require.Empty(t, got[2].Get("X"))
}

func TestNothingGoesOutInTheClear(t *testing.T) {
	n := newNotifier(t)
	for address, want := range map[string]string{
		"http://example.com/tOkEn":       "example.com is not https",
		"http://127.0.0.1.example.com/x": "is not https",
		"http://10.0.0.1/x":              "is not https",
		"ftp://127.0.0.1/x":              "is not https",
		"https:///tOkEn":                 "no host",
		"https://:443/tOkEn":             "no host",
		"":                               "no host",
		"tOkEn":                          "no host",
		"https://us%er:tOkEn@host/":      "no URL",
		"https://user:tOkEn@host/":       "user or password",
		"https://ho st/tOkEn":            "no URL",
	} {
		err := n.Notify(t.Context(), notify.Message{To: address})
		require.ErrorIs(t, err, notify.ErrPermanent, address)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "tOkEn")
	}
	for _, address := range []string{"https://example.com/x", "http://localhost:9/x", "http://127.0.0.2/x", "http://[::1]:80/x"} {
		_, err := webhook.CheckURL(address)
		require.NoError(t, err, address)
	}
}

func TestNobodyListens(t *testing.T) {
	r := newReceiver(t)
	r.Server.Close()
	err := newNotifier(t).Notify(t.Context(), notify.Message{To: r.URL + "/tOkEn"})
	require.Error(t, err)
	require.NotErrorIs(t, err, notify.ErrPermanent, "it may be back in a moment")
	require.NotContains(t, err.Error(), "tOkEn")
}

func TestVerify(t *testing.T) {
	r := newReceiver(t)
	require.NoError(t, newNotifier(t).Notify(t.Context(), notify.Message{Key: "k", To: r.URL}))
	header := r.requests()[0]
	seconds, err := strconv.ParseInt(header.Get(webhook.TimestampHeader), 10, 64)
	require.NoError(t, err)
	signed, secret := time.Unix(seconds, 0), notify.Secret(secretText)
	body, err := json.Marshal(notify.Message{Key: "k"})
	require.NoError(t, err)

	require.NoError(t, webhook.Verify(secret, header, body, signed.Add(time.Minute), time.Minute))
	require.NoError(t, webhook.Verify(secret, header, body, signed.Add(-time.Minute), time.Minute))
	refuse := func(want string, secret notify.Secret, h http.Header, body []byte, now time.Time) {
		t.Helper()
		err := webhook.Verify(secret, h, body, now, time.Minute)
		require.ErrorIs(t, err, webhook.ErrSignature)
		require.ErrorContains(t, err, want)
	}
	refuse("1m0.000000001s from now", secret, header, body, signed.Add(time.Minute+1))
	refuse("from now", secret, header, body, signed.Add(-time.Minute-1))
	refuse("does not fit", secret, header, append(body, ' '), signed)
	refuse("does not fit", notify.Secret("another secret of both"), header, body, signed)
	refuse("missing", secret, http.Header{}, body, signed)
	moved := header.Clone()
	moved.Set(webhook.TimestampHeader, strconv.FormatInt(seconds+3600, 10))
	refuse("does not fit", secret, moved, body, signed.Add(time.Hour))
	bare := header.Clone()
	bare.Del(webhook.SignatureHeader)
	refuse("does not fit", secret, bare, body, signed)
}

func TestTheSecretIsNeverShown(t *testing.T) {
	secret := notify.Secret(secretText)
	cfg := webhook.Config{Secret: secret}
	n := newNotifier(t)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "config", cfg, "notifier", n)
	dumped, err := json.Marshal(cfg.Secret)
	require.NoError(t, err)
	for _, text := range []string{
		log.String(), string(dumped), secret.String(),
		fmt.Sprintf("%v %+v %#v %s %q %x %d", secret, secret, secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg),
		fmt.Sprintf("%v %+v %#v %s %d", n, n, n, n, n),
	} {
		require.NotContains(t, text, secretText)
		require.NotContains(t, text, fmt.Sprint([]byte(secretText)[:4])[1:10], "as numbers")
		require.NotContains(t, text, fmt.Sprintf("%x", secretText))
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := webhook.New(webhook.Config{Secret: notify.Secret("short"), Timeout: -1})
	require.ErrorContains(t, err, "Secret: has 5 bytes")
	require.ErrorContains(t, err, "Timeout: is -1ns")
	require.NotContains(t, err.Error(), "short")
}

func TestTheSecretIsTheNotifiersOwn(t *testing.T) {
	r := newReceiver(t)
	secret := notify.Secret(secretText)
	n, err := webhook.New(webhook.Config{Secret: secret})
	require.NoError(t, err)
	defer n.Close()
	clear(secret)
	require.NoError(t, n.Notify(t.Context(), notify.Message{Key: "k", To: r.URL}), "the receiver checks the signature")
}

func BenchmarkNotify(b *testing.B) {
	server := httptest.NewServer(status(http.StatusOK))
	defer server.Close()
	n, err := webhook.New(webhook.Config{Secret: notify.Secret(secretText)})
	require.NoError(b, err)
	defer n.Close()
	m := notify.Message{Key: "k", Kind: notify.InitialAlert, To: server.URL, Text: strings.Repeat("x", 300)}
	b.ReportAllocs()
	for b.Loop() {
		if err := n.Notify(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}
