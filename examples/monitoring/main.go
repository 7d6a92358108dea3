// Monitoring prints the Grafana dashboard for what the library measures.
//
//	go run ./examples/monitoring > examples/monitoring/dashboard.json
//
// Beside it lie rules.yml, the alerts of a Prometheus server; alertmanager.yml, which sends
// them into incident/alertmanager, so that an alert becomes an incident; and
// prometheus.yml, which has the bot scraped. The names are those that OpenTelemetry's
// exporter for Prometheus makes: dots become underscores, the unit is added, counters end
// in _total.
//
// A test compares dashboard and rules with every instrument of the library, and has
// promtool check the rules and try them on series.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

func main() {
	text, err := dashboard()
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

// kind is how an instrument counts.
type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

// instrument is something that the library measures, and how the dashboard shows it.
type instrument struct {
	name  string // of OpenTelemetry
	unit  string
	kind  kind
	row   string
	title string
	by    string // the labels that stay apart
}

// series is the name under which Prometheus knows the instrument.
func (i instrument) series() string {
	name := strings.ReplaceAll(i.name, ".", "_")
	switch i.unit {
	case "s":
		name += "_seconds"
	case "By":
		name += "_bytes"
	case "1":
		if i.kind == gauge {
			name += "_ratio"
		}
	}
	if i.kind == counter {
		name += "_total"
	}
	return name
}

// query is what the panel asks for.
func (i instrument) query() string {
	by := ""
	if i.by != "" {
		by = " by (" + i.by + ")"
	}
	sel := `{instance=~"$instance"}`
	switch i.kind {
	case counter:
		return fmt.Sprintf("sum%s (rate(%s%s[$__rate_interval]))", by, i.series(), sel)
	case histogram:
		le := "le"
		if i.by != "" {
			le += ", " + i.by
		}
		return fmt.Sprintf("histogram_quantile(0.99, sum by (%s) (rate(%s_bucket%s[$__rate_interval])))", le, i.series(), sel)
	}
	return fmt.Sprintf("max%s (%s%s)", by, i.series(), sel)
}

// instruments are all of them, in the order in which people look at three in the morning.
var instruments = []instrument{
	{"andon.safety.trading_state", "", gauge, "The stop", "Trading state: 0 halted, 1 reducing, 2 active", "bot"},
	{"andon.safety.holds", "{hold}", gauge, "The stop", "Holds in force", "bot, source, state"},
	{"andon.safety.halt.duration", "s", gauge, "The stop", "Halted for", "bot"},
	{"andon.safety.orders.in_flight", "{order}", gauge, "The stop", "Orders in flight", "bot"},
	{"andon.safety.orders.denied", "{order}", counter, "The stop", "Orders denied", "reason"},
	{"andon.safety.exits.past_limit", "{order}", counter, "The stop", "Exits that passed beyond a limit", "limit"},
	{"andon.safety.trip.level", "", gauge, "Trips, watchdog, dead man's switch", "Trip: level", "trip"},
	{"andon.safety.trip.limit", "", gauge, "Trips, watchdog, dead man's switch", "Trip: limit", "trip"},
	{"andon.safety.trip.present", "{condition}", gauge, "Trips, watchdog, dead man's switch", "Trip: conditions seen now", "trip"},
	{"andon.safety.trip.fired", "{hold}", counter, "Trips, watchdog, dead man's switch", "Trip: holds placed", "trip"},
	{"andon.safety.watchdog.silence", "s", gauge, "Trips, watchdog, dead man's switch", "Watchdog: silence", "component"},
	{"andon.safety.watchdog.period", "s", gauge, "Trips, watchdog, dead man's switch", "Watchdog: allowed silence", "component"},
	{"andon.safety.deadman.armed", "", gauge, "Trips, watchdog, dead man's switch", "Dead man's switch armed", "venue"},
	{"andon.safety.deadman.age", "s", gauge, "Trips, watchdog, dead man's switch", "Dead man's switch: last confirmed", "venue"},
	{"andon.safety.deadman.timeout", "s", gauge, "Trips, watchdog, dead man's switch", "Dead man's switch: timeout", "venue"},
	{"andon.incident.open", "{incident}", gauge, "Incidents", "Open incidents", "level"},
	{"andon.incident.declared", "{incident}", counter, "Incidents", "Declared", "level"},
	{"andon.incident.events", "{event}", counter, "Incidents", "Events", "kind"},
	{"andon.incident.unrecorded", "{event}", gauge, "Incidents", "Events that wait for the store", ""},
	{"andon.incident.signal_to_halt", "s", histogram, "Incidents", "Signal to closed gate, p99", ""},
	{"andon.incident.to_page", "s", histogram, "Incidents", "Declaration to first page, p99", "level"},
	{"andon.incident.to_ack", "s", histogram, "Incidents", "Declaration to acknowledgement, p99", "level"},
	{"andon.incident.to_resolution", "s", histogram, "Incidents", "Declaration to resolution, p99", "level"},
	{"andon.incident.late", "s", histogram, "Incidents", "Late beginning of a due message, p99", ""},
	{"andon.notify.deliveries", "{message}", counter, "Pages", "Messages to contacts", ""},
	{"andon.notify.delivery.duration", "s", histogram, "Pages", "Delivery, p99", ""},
	{"andon.notify.tries", "{try}", counter, "Pages", "Calls of channels", ""},
	{"andon.notify.gathered", "{message}", counter, "Pages", "Pages that went out with others", ""},
	{"andon.alerts.posts", "{request}", counter, "Pages", "Posts of Alertmanager", ""},
	{"andon.alerts.taken", "{alert}", counter, "Pages", "Alerts, by what became of them", "outcome"},
	{"andon.detect.firing", "{component}", gauge, "Detection", "Indicators that fire", "indicator"},
	{"andon.detect.samples", "{sample}", counter, "Detection", "Samples", "indicator"},
	{"andon.detect.samples.unknown", "{sample}", counter, "Detection", "Samples that could not be read", "indicator"},
	{"andon.detect.probe.duration", "s", gauge, "Detection", "Last call of a probe", "indicator"},
	{"andon.reconcile.discrepancies", "{discrepancy}", gauge, "Reconciliation", "Discrepancies", "venue, kind"},
	{"andon.reconcile.pending", "{difference}", gauge, "Reconciliation", "Differences too young to count", "venue"},
	{"andon.reconcile.clean.age", "s", gauge, "Reconciliation", "Since the last clean comparison", "venue"},
	{"andon.reconcile.duration", "s", histogram, "Reconciliation", "Comparison, p99", "venue"},
	{"andon.recovery.objective.met", "1", gauge, "Recovery", "Objectives met: RPO and RTO", "component, objective"},
	{"andon.recovery.backup.age", "s", gauge, "Recovery", "Age of the newest verified backup", "component"},
	{"andon.recovery.backup.duration", "s", histogram, "Recovery", "Backup with verification, p99", "component"},
	{"andon.recovery.drill.duration", "s", histogram, "Recovery", "Restore of a drill, p99", "component"},
	{"andon.recovery.step.duration", "s", histogram, "Recovery", "Step of the recovery sequence, p99", "step"},
	{"andon.recovery.docker.call.duration", "s", histogram, "Recovery", "Calls of the Docker Engine, p99", ""},
	{"andon.pgbackup.stream.age", "s", gauge, "Recovery", "Stream: age of what is durable", "stream"},
	{"andon.pgbackup.stream.sync.duration", "s", histogram, "Recovery", "Stream: write and sync of a batch, p99", "stream"},
	{"andon.pgbackup.stream.retained", "By", gauge, "Recovery", "Stream: WAL held back", "stream"},
	{"andon.pgbackup.stream.connected", "1", gauge, "Recovery", "Stream: connected", "stream"},
	{"andon.pgbackup.stream.transactions", "{transaction}", counter, "Recovery", "Stream: transactions", "stream"},
	{"andon.pgbackup.stream.bytes", "By", counter, "Recovery", "Stream: bytes", "stream"},
	{"andon.pgbackup.stream.alarms", "{alarm}", counter, "Recovery", "Stream: alarms", "stream, kind"},
}

type grid struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type target struct {
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	RefID        string `json:"refId"`
}

type panel struct {
	ID          int            `json:"id"`
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	Grid        grid           `json:"gridPos"`
	Datasource  *source        `json:"datasource,omitempty"`
	Targets     []target       `json:"targets,omitempty"`
	FieldConfig map[string]any `json:"fieldConfig,omitempty"`
}

// dashboard makes the JSON that Grafana imports: a row for each part of the library, three
// panels side by side.
func dashboard() ([]byte, error) {
	prometheus := &source{"prometheus", "${datasource}"}
	var panels []panel
	row, x, y := "", 0, 0
	for _, i := range instruments {
		if i.row != row {
			if x > 0 {
				y += 8
			}
			panels = append(panels, panel{ID: len(panels) + 1, Type: "row", Title: i.row, Grid: grid{1, 24, 0, y}})
			row, x, y = i.row, 0, y+1
		}
		var labels []string
		for label := range strings.SplitSeq(i.by, ", ") {
			if label != "" {
				labels = append(labels, "{{"+label+"}}")
			}
		}
		panels = append(panels, panel{
			ID: len(panels) + 1, Type: "timeseries", Title: i.title, Grid: grid{8, 8, x, y}, Datasource: prometheus,
			Targets:     []target{{i.query(), strings.Join(labels, " "), "A"}},
			FieldConfig: map[string]any{"defaults": map[string]any{"unit": i.shown(), "min": 0}, "overrides": []any{}},
		})
		if x += 8; x == 24 {
			x, y = 0, y+8
		}
	}
	text, err := json.MarshalIndent(map[string]any{
		"title": "andon", "uid": "andon", "tags": []string{"andon", "trading"}, "schemaVersion": 39, "refresh": "10s", "editable": true,
		"time": map[string]string{"from": "now-1h", "to": "now"}, "timezone": "utc", "panels": panels,
		"templating": map[string]any{"list": []any{
			map[string]any{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
			map[string]any{
				"name": "instance", "label": "Bot", "type": "query", "datasource": prometheus, "query": "label_values(andon_safety_trading_state, instance)",
				"includeAll": true, "multi": true, "refresh": 2, "current": map[string]any{"text": "All", "value": "$__all"},
			},
		}},
	}, "", "  ")
	return append(text, '\n'), err
}

// shown is Grafana's name of the unit.
func (i instrument) shown() string {
	switch {
	case i.unit == "s":
		return "s"
	case i.unit == "By" && i.kind == counter:
		return "Bps"
	case i.unit == "By":
		return "bytes"
	case i.kind == counter:
		return "cps"
	}
	return "short"
}
