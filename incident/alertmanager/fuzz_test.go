package alertmanager

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Whatever a body holds: it is refused, or each of its alerts is a signal of bounded
// size that has a condition, a component and the same Ref whenever it comes.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":"4","groupKey":"{}:{}","truncatedAlerts":3,"groupLabels":{"a":"b"},"alerts":[{"status":"firing","labels":{"alertname":"A","job":"x"},"annotations":{"summary":"s"},"startsAt":"2026-03-14T09:26:00Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"01"}]}`))
	f.Add([]byte(`{"version":"1","alerts":[{},{"labels":null},{"startsAt":5},{"labels":{"__x__":"y","":"z"}}]}`))
	f.Add([]byte(`{"version":"4","alerts":[` + strings.Repeat(`{"labels":{"alertname":"`+strings.Repeat("ü", 300)+`"}},`, 9) + `{}]}`))
	f.Add([]byte(`{"version":"4","alerts":null}`))
	f.Add([]byte(`{"Version":"4","ALERTS":[{"status":"resolved","annotations":{"grafana_state_reason":"\u001b[2J\u202e"}}],"alerts":[{}]}`))
	const limit = 5
	h := &Handler{cfg: Config{Source: "s"}.withDefaults()}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, alerts, left, err := decode(body, limit)
		if err != nil {
			return
		}
		if len(alerts) == 0 && left == 0 && d.TruncatedAlerts == 0 || len(alerts) > limit || left > 0 && len(alerts) < limit {
			t.Fatalf("%d alerts and %d left, of %d", len(alerts), left, limit)
		}
		if !json.Valid(body) {
			t.Fatal("taken, and no JSON")
		}
		for _, a := range alerts {
			s, wanted := h.signal(a)
			if !wanted || s.Condition == "" || s.Component == "" || s.Detail == "" || s.Ref == "" || s.OurOwnHalt {
				t.Fatalf("%+v is %+v", a, s)
			}
			if again, _ := h.signal(a); again != s {
				t.Fatalf("%+v and %+v", s, again)
			}
			for _, text := range []string{string(s.Condition), s.Component, s.Ref} {
				requireTame(t, text, h.cfg.MaxValue+len(unknown))
			}
			requireTame(t, s.Detail, maxSummary+(maxLabels+2)*(2*h.cfg.MaxValue+4))
		}
	})
}

func requireTame(t *testing.T, text string, limit int) {
	if len(text) > limit+utf8.UTFMax || !utf8.ValidString(text) {
		t.Fatalf("%d bytes, of %d: %q", len(text), limit, text)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			t.Fatalf("%q has %U", text, r)
		}
	}
}
