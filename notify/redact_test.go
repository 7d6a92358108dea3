package notify_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/notify/notifytest"
	"github.com/stretchr/testify/require"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://bot:s3cret@db:5432/trades":                          "postgres://[secret]@db:5432/trades",
		"redis://:s3cret@cache":                                         "redis://[secret]@cache",
		"Authorization: Bearer abcDEF123.456-789":                       "Authorization: Bearer [secret]",
		"GET /?symbol=BTC&signature=abc123&x=1":                         "GET /?symbol=BTC&signature=[secret]&x=1",
		"EXCHANGE__CDP_API_KEY=organizations/abc":                       "EXCHANGE__CDP_API_KEY=[secret]",
		`{"api_key":"abc","qty":"1.5"}`:                                 `{"api_key":"[secret]","qty":"1.5"}`,
		"password=letmein; next":                                        "password=[secret]; next",
		"token: a8f3b2c19d":                                             "token: [secret]",
		"key -----BEGIN EC PRIVATE KEY-----\nMHc\n":                     "key [secret]",
		"a -----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY----- b": "a [secret] b",
		"xoxb-123456789012-abcdefABCDEF":                                "[secret]",
		"https://hooks.slack.com/services/T000/B000/XXXX":               "https://hooks.slack.com/[secret]",
		"AKIAIOSFODNN7EXAMPLE refused":                                  "[secret] refused",
		"eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJSMeK":                          "[secret]",

		"token: expired":                   "token: expired",
		"API key refused by Coinbase":      "API key refused by Coinbase",
		"https://status.example.com/a?b=c": "https://status.example.com/a?b=c",
		"auth-failure/coinbase/1/page/1/0": "auth-failure/coinbase/1/page/1/0",
		"Time: 2026-03-14 09:00:00 UTC":    "Time: 2026-03-14 09:00:00 UTC",
	} {
		require.Equal(t, want, notify.Redact(in))
	}
	for _, text := range []string{notify.DefaultAlert, notify.DefaultUpdate, notify.DefaultResolution, notify.DefaultReminder, notify.DefaultBreach, notify.DefaultAck} {
		require.Equal(t, text, notify.Redact(text))
	}
}

// FuzzRedact reads any text: what is left is never redacted again, and a secret
// assigned in it is gone.
func FuzzRedact(f *testing.F) {
	f.Add("postgres://bot:s3cret@db password=x token: 12345678 Bearer abcdefgh")
	f.Add("-----BEGIN PRIVATE KEY-----api_key=://:@")
	f.Add("secret=secret:\"'")
	f.Fuzz(func(t *testing.T, text string) {
		once := notify.Redact(text)
		require.Equal(t, once, notify.Redact(once))
		require.NotContains(t, notify.Redact(text+" password=tr0ub4dor&x"), "tr0ub4dor")
	})
}

func TestNoSecretGoesOut(t *testing.T) {
	var got notifytest.Recorder
	got.Fail(&notify.DeliveryError{Permanent: true, Status: 401, Err: errors.New("key opensesame is wrong, Bearer abcdefgh12")})
	c := courier(t, map[string]notify.Notifier{"a": &got, "b": &got}, func(c *notify.Config) { c.Secrets = []notify.Secret{notify.Secret("opensesame")} })
	r := c.Deliver(t.Context(), on("a", "b"), notify.Message{Key: "k", Text: "login opensesame, password=12345678"})
	require.NoError(t, r.Err)
	require.Equal(t, "login [secret], password=[secret]", notifytest.RequireSent(t, &got, "k").Text)

	got.Fail(&notify.DeliveryError{Permanent: true, Status: 401, Err: errors.New("key opensesame is wrong, Bearer abcdefgh12")})
	r = c.Deliver(t.Context(), on("a"), notify.Message{Key: "k"})
	require.ErrorContains(t, r.Err, "key [secret] is wrong, Bearer [secret]")
	require.ErrorIs(t, r.Err, notify.ErrPermanent, "it still is what it was")
	require.False(t, strings.Contains(r.Err.Error(), "opensesame"))

	_, err := notify.NewCourier(notify.Config{Channels: map[string]notify.Notifier{"a": &got}, Secrets: []notify.Secret{notify.Secret("abc")},
		Limits: map[string]notify.Limit{"a": {Burst: -1, Every: -1}, "z": {Burst: 1e10}}, Storm: notify.Storm{Pages: -1, Within: -1}})
	for _, want := range []string{"Secrets[0]: has 3 bytes", `Limits["z"]: there is no such channel`, `Limits["a"]: Burst is -1`, `Limits["z"]: Burst is 10000000000, of which each`, `Limits["a"]: Every is -1ns`, "Storm: Pages is -1", "Storm: Within is -1ns"} {
		require.ErrorContains(t, err, want)
	}
}
