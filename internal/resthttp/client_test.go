package resthttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/andon-go/andon/internal/resthttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve returns a client of a server.
func serve(t *testing.T, h http.HandlerFunc, change func(*resthttp.Config)) *resthttp.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c := resthttp.Config{Base: s.URL, PerSecond: 5000}
	if change != nil {
		change(&c)
	}
	client, err := resthttp.New(c)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func do(t *testing.T, c *resthttp.Client, r resthttp.Request) (resthttp.Answer, *resthttp.Error) {
	t.Helper()
	answer, err := c.Do(t.Context(), r)
	if err == nil {
		return answer, nil
	}
	e, ok := errors.AsType[*resthttp.Error](err)
	require.True(t, ok, "%T", err)
	return answer, e
}

var (
	order = resthttp.Request{Method: http.MethodPost, Path: "/orders", Body: []byte("{}")}
	list  = resthttp.Request{Method: http.MethodGet, Path: "/list", Repeat: true}
)

func TestLaw6_WhatMayHaveTakenEffectIsToldApartAndSentOnce(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answer  http.HandlerFunc
		unknown bool
	}{
		{"400", status(400), false},
		{"404", status(404), false},
		{"409", status(409), false},
		{"408", status(408), true},
		{"500", status(500), true},
		{"502", status(502), true},
		{"503", status(503), true},
		{"302 is not followed", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, true},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{}") // the client sees that the rest is missing
		}, true},
		{"too long an answer", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(" ", 2000)) // the client stops reading
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var n atomic.Int32
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				tc.answer(w, r)
			}, func(c *resthttp.Config) { c.MaxBody = 1000 })
			_, err := do(t, c, order)
			require.NotNil(t, err)
			require.Equal(t, tc.unknown, err.Unknown(), "%v", err)
			require.EqualValues(t, 1, n.Load(), "an order is sent once")
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestLaw6_WhatWasNotSentIsKnown(t *testing.T) {
	refused := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") }}
	c, err := resthttp.New(resthttp.Config{Base: "https://api.example.com", Tries: 1, Transport: refused})
	require.NoError(t, err)
	_, e := do(t, c, order)
	require.False(t, e.Unknown())
	require.ErrorContains(t, e, "nothing was sent")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Do(ended, order)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "nothing was sent")

	r := order
	r.Authorize = func(context.Context, http.Header, time.Time) error { return errors.New("no key") }
	_, e = do(t, c, r)
	require.False(t, e.Unknown())
}

func TestDo_RepeatsWhatMayBeRepeated(t *testing.T) {
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(503)
		default:
			_, _ = io.WriteString(w, "[]")
		}
	}, nil)
	answer, err := do(t, c, list)
	require.Nil(t, err)
	require.Equal(t, "[]", string(answer.Body))
	require.EqualValues(t, 3, n.Load())

	n.Store(-100)
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { n.Add(1); w.WriteHeader(500) }, func(c *resthttp.Config) { c.Tries = 2 })
	_, err = do(t, c, list)
	require.Equal(t, 500, err.Status)
	require.EqualValues(t, -98, n.Load(), "no more than Tries")
}

func TestDo_ObeysRetryAfterAndRefusalsAreSentAgain(t *testing.T) {
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
		}
	}, nil)
	began := time.Now()
	_, err := do(t, c, order) // 429 says that it was not taken
	require.Nil(t, err)
	require.EqualValues(t, 2, n.Load())
	require.GreaterOrEqual(t, time.Since(began), time.Second)

	n.Store(0)
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(503)
		}
	}, nil)
	began = time.Now()
	_, err = do(t, c, list)
	require.Nil(t, err)
	require.GreaterOrEqual(t, time.Since(began), time.Second)
}

func TestDo_AWishThatIsTooLongIsTheCallers(t *testing.T) {
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(429)
	}, nil)
	_, err := do(t, c, order)
	require.Equal(t, time.Hour, err.RetryAfter)
	require.False(t, err.Unknown())
	require.EqualValues(t, 1, n.Load())
}

func TestDo_SignsAgainWithTheVenuesClock(t *testing.T) {
	const ahead = 10 * time.Minute
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		at, err := time.Parse(time.RFC3339, r.Header.Get("At"))
		if err != nil || time.Until(at)-ahead > 5*time.Second || time.Until(at)-ahead < -time.Minute {
			w.WriteHeader(401)
		}
	}, nil)
	r := order
	r.Authorize = func(_ context.Context, h http.Header, now time.Time) error {
		h.Set("At", now.UTC().Format(time.RFC3339))
		return nil
	}
	_, err := do(t, c, r)
	require.Nil(t, err)
	require.EqualValues(t, 2, n.Load(), "the first was refused and taught the clock")
	offset, within, known := c.Clock().Offset()
	require.True(t, known)
	require.InDelta(t, float64(ahead), float64(offset), float64(within+time.Second))
}

func TestError_ShowsNoSecretNoQueryAndNotTooMuch(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(403)
		fmt.Fprintf(w, "you sent %v and %s\n%s", r.Header, r.URL.RawQuery, strings.Repeat("x", 10_000))
	}, nil)
	r := list
	r.Query = url.Values{"q": {"private-query"}}
	r.Secrets = []string{"private-query"}
	r.Authorize = func(_ context.Context, h http.Header, _ time.Time) error {
		h.Set("Authorization", "Bearer canary-token")
		h.Set("X-Signature", "canary-signature")
		return nil
	}
	_, err := do(t, c, r)
	for _, text := range []string{err.Error(), fmt.Sprint(err), fmt.Sprintf("%v", err)} {
		require.NotContains(t, text, "canary")
		require.NotContains(t, text, "private-query")
		require.Contains(t, text, "[secret]")
		require.Less(t, len(text), 600)
	}
	require.Equal(t, 403, err.Status)

	c = serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, func(c *resthttp.Config) { c.Tries = 1 })
	_, err = do(t, c, r)
	require.NotContains(t, err.Error(), "private-query")
}

func TestConfig_NamesWhatIsWrong(t *testing.T) {
	for base, problem := range map[string]string{
		"":                            "has no host",
		"://":                         "is no URL",
		"http://api.example.com":      "want https",
		"ftp://api.example.com":       "want https",
		"https://u:p@api.example.com": "holds a user",
		"https://api.example.com?k=v": "holds a query",
	} {
		err := resthttp.Config{Base: base}.Validate()
		require.ErrorContains(t, err, problem, base)
		require.NotContains(t, err.Error(), "u:p")
	}
	for _, base := range []string{"https://api.example.com", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost/prefix"} {
		require.NoError(t, resthttp.Config{Base: base}.Validate(), base)
	}
	_, err := resthttp.New(resthttp.Config{Base: "x", Timeout: -1, LongestWait: -1, PerSecond: -1, Tries: -1, MaxBody: -1})
	for _, field := range []string{"Base:", "Timeout:", "LongestWait:", "PerSecond:", "Tries:", "MaxBody:"} {
		require.ErrorContains(t, err, field)
	}
}

func TestLaw1_AMissingFieldIsAnErrorNotZero(t *testing.T) {
	var w struct {
		A *int    `json:"a"`
		B *string `json:"b"`
	}
	for _, body := range []string{`{}`, `{"a":null,"b":null}`} {
		require.NoError(t, json.Unmarshal([]byte(body), &w))
		var f resthttp.Fields
		resthttp.Need(&f, "a", w.A)
		f.Text("b", w.B)
		err := f.Err("row %d", 7)
		require.ErrorContains(t, err, "row 7: a is missing")
		require.ErrorContains(t, err, "b is missing")
	}
	require.NoError(t, json.Unmarshal([]byte(`{"a":0,"b":""}`), &w))
	var f resthttp.Fields
	require.Zero(t, resthttp.Need(&f, "a", w.A))
	require.NoError(t, f.Err("row"))
	f.Text("b", w.B)
	require.ErrorContains(t, f.Err("row"), "b is empty")
}

func TestGet_ReadsJSONOrSaysWhatItIsNot(t *testing.T) {
	body := `{"a":1}`
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }, nil)
	var v struct{ A int }
	_, err := c.Get(t.Context(), "/x", nil, nil, &v)
	require.NoError(t, err)
	require.Equal(t, 1, v.A)
	for _, body = range []string{"", "<html>", `{"a":`, `{"a":"b"}`} {
		_, err = c.Get(t.Context(), "/x", nil, nil, &v)
		require.ErrorContains(t, err, "not what it should be", body)
	}
}
