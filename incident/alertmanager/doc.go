// Package alertmanager turns the alerts of Prometheus's Alertmanager and of Grafana
// into incidents, and asks them whether all is clear.
//
// # Promise
//
//   - No alert is dropped. One that no rule knows is an unclassified signal, which
//     pages as SEV-1; so is a body that cannot be read, and so are alerts that the
//     sender left out for their number. Only a rule that says Ignore ignores.
//   - The answer is 2xx once every alert of the body is on the timeline, and 5xx
//     where one is not, so that the sender posts them again. An alert that is posted
//     again and goes on firing is known, and adds nothing.
//   - An alert that has resolved is cleared on the timeline. With the last one the
//     incident is resolved, if the checklist is proven; it is never forced. An alert
//     whose data is gone is not over.
//   - Whoever cannot show the token or password gets no further than the header.
//     Body, alerts, values, requests at a time and the time to read are bounded.
//   - [Checker.Cleared] says yes only where a list was read, nothing in it fires, and
//     the Alertmanager has been up for long enough to know. A silenced alert fires.
//   - [Handler.Resync] makes good what a restart of either side has lost.
//
// # Usage
//
//	h, err := alertmanager.New(alertmanager.Config{
//		Manager: m, Bearer: token,
//		Rules: []alertmanager.Rule{{
//			Match: []alertmanager.Match{{Label: "alertname", Equals: "VenueTimeouts"}},
//			Condition: severity.VenueTimeouts, ComponentFrom: []string{"venue"},
//		}},
//	})
//	mux.Handle("/alerts", h)
//
// In Alertmanager's configuration, with send_resolved left as it is (true) and
// max_alerts as it is (no limit):
//
//	receivers:
//	  - name: andon
//	    webhook_configs:
//	      - url: https://bot.example/alerts
//	        http_config: {authorization: {credentials_file: /etc/alertmanager/andon}}
//
// In Grafana it is a contact point of type webhook with an authorization header.
//
//	body                     becomes
//	firing alert             a signal, with the rule's condition; its Ref is the alert
//	resolved alert           that signal is cleared
//	resolved, data missing   a note: Grafana's state reason says that nobody looked
//	truncatedAlerts          a signal, by what the group has in common
//	no rule matches          condition "alert/NAME", which is in no table
//
// # Failure
//
//	answer              why                                       the sender
//	401, 403            the token, the password, the address      tries again at the next interval
//	400, 413            it cannot be read, which is a signal      tries again at the next interval
//	405, 415            it is no post of JSON                     is not one of these two
//	408                 the body did not come in time             tries again at the next interval
//	503                 not recorded, or too many at a time       tries again at once
//
// # Testing
//
// incidenttest.NewManager and net/http/httptest are all that a test needs. The tests
// here also run a real Alertmanager.
package alertmanager
