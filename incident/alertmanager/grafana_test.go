package alertmanager_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/incidenttest"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
)

// grafana is a body as Grafana's webhook contact point posts it.
func grafana(status, ends, annotations string) []byte {
	return fmt.Appendf(nil, `{
	"receiver": "andon", "status": %[1]q, "orgId": 1, "title": "[%[1]s:1] RiskOffline", "state": "alerting", "message": "**Firing**",
	"version": "1", "groupKey": "{}/{}:{alertname=\"RiskOffline\"}", "truncatedAlerts": 0,
	"groupLabels": {"alertname": "RiskOffline"}, "commonLabels": {"alertname": "RiskOffline"}, "commonAnnotations": {},
	"externalURL": "https://grafana.example/",
	"alerts": [{
		"status": %[1]q,
		"labels": {"alertname": "RiskOffline", "grafana_folder": "bot", "instance": "host-1"},
		"annotations": {"summary": "down"%[3]s},
		"startsAt": "2026-03-14T09:51:03.157076+02:00", "endsAt": %[2]q,
		"generatorURL": "https://grafana.example/alerting/1/edit", "fingerprint": "c6eadffa33fcdf37",
		"silenceURL": "https://grafana.example/alerting/silence/new", "dashboardURL": "", "panelURL": "", "imageURL": "",
		"values": {"B": 44.23943737541908, "C": 1, "D": null}, "valueString": "[ var='B' labels={} value=44.2 ]", "orgId": 1
	}]
}`, status, ends, annotations)
}

func TestGrafanasBodyFromFiringToResolved(t *testing.T) {
	r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }))
	status, answer := r.send(grafana("firing", "0001-01-01T00:00:00Z", ""))
	require.Equal(t, http.StatusOK, status, answer)
	in := r.one()
	require.Equal(t, severity.RiskOffline, in.Condition)
	require.Equal(t, "host-1", in.Component)
	require.Equal(t, time.Date(2026, 3, 14, 7, 51, 3, 157076000, time.UTC), in.SignalAt.UTC())
	require.Equal(t, "down [RiskOffline {grafana_folder=bot, instance=host-1}]", in.Summary)

	status, answer = r.send(grafana("resolved", "2026-03-14T10:51:03.157076+02:00", ""))
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, incident.Closed, r.one().Status)
}

// Grafana resolves what it has no data of any more, or was told to look at no more.
func TestLaw1_GrafanasMissingDataIsNotOver(t *testing.T) {
	for _, reason := range []string{"MissingSeries", "NoData", "Paused", "RuleDeleted"} {
		r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }))
		r.send(grafana("firing", "0001-01-01T00:00:00Z", ""))
		status, answer := r.send(grafana("resolved", "2026-03-14T10:51:03.157076+02:00", fmt.Sprintf(`, "grafana_state_reason": %q`, reason)))
		require.Equal(t, http.StatusOK, status, answer)
		in := r.one()
		require.Equal(t, incident.Open, in.Status)
		require.Equal(t, 1, in.Firing)
		events := r.timeline(in.Number)
		require.Contains(t, events[len(events)-1].Why+events[len(events)-2].Why, reason)
		status, _ = r.send(grafana("resolved", "2026-03-14T10:51:03.157076+02:00", ""))
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, incident.Closed, r.one().Status)
	}
}

// Times that cannot be read keep no alert out.
func TestTimesThatCannotBeReadKeepNothingOut(t *testing.T) {
	for _, at := range []string{`""`, `"yesterday"`, `null`, `5`, `"0001-01-01T00:00:00Z"`, `"2999-01-01T00:00:00Z"`} {
		r := serve(t, incidenttest.NewManager(t, func(c *incident.Config) { c.Checklist = []string{} }))
		for _, status := range []string{"firing", "firing", "resolved"} {
			code, answer := r.send(fmt.Appendf(nil, `{"version":"4","alerts":[{"status":%q,"labels":{"alertname":"RiskOffline"},"startsAt":%s,"endsAt":%s}]}`, status, at, at))
			require.Equal(t, http.StatusOK, code, answer)
			require.False(t, r.m.All()[0].SignalAt.After(time.Now()))
		}
		require.Equal(t, incident.Closed, r.one().Status, at)
	}
}
