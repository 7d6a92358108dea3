package detect

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instruments are what OpenTelemetry reads of a detector. All are observed.
type instruments struct {
	byRule map[string]*tally // never changed once made
}

// tally is what is counted of the indicators of one rule.
type tally struct {
	samples, unknown atomic.Int64
	took             atomic.Int64 // by the last call of a probe, in nanoseconds
	probed           bool
	set              metric.MeasurementOption
}

func newInstruments(indicators []Indicator) *instruments {
	in := &instruments{byRule: map[string]*tally{}}
	for _, i := range indicators {
		t := in.byRule[i.Rule.Name]
		if t == nil {
			t = &tally{set: metric.WithAttributeSet(attribute.NewSet(attribute.String("indicator", i.Rule.Name)))}
			in.byRule[i.Rule.Name] = t
		}
		t.probed = t.probed || i.Probe != nil
	}
	return in
}

func (in *instruments) count(rule string, known bool) {
	t := in.byRule[rule]
	t.samples.Add(1)
	if !known {
		t.unknown.Add(1)
	}
}

func (in *instruments) took(ind *Indicator, d time.Duration) {
	in.byRule[ind.Rule.Name].took.Store(int64(d))
}

// register registers the instruments until the returned function is called.
func (in *instruments) register(p metric.MeterProvider, d *Detector) (unregister func() error, err error) {
	m := p.Meter("github.com/andon-go/andon/incident/detect")
	var errs [4]error
	firing, e := m.Int64ObservableGauge("andon.detect.firing",
		metric.WithDescription("Components for which an indicator fires."), metric.WithUnit("{component}"))
	errs[0] = e
	samples, e := m.Int64ObservableCounter("andon.detect.samples",
		metric.WithDescription("Samples taken, by indicator."), metric.WithUnit("{sample}"))
	errs[1] = e
	unknown, e := m.Int64ObservableCounter("andon.detect.samples.unknown",
		metric.WithDescription("Samples that could not be read, by indicator."), metric.WithUnit("{sample}"))
	errs[2] = e
	took, e := m.Float64ObservableGauge("andon.detect.probe.duration",
		metric.WithDescription("How long the last call of an indicator's probe took."), metric.WithUnit("s"))
	errs[3] = e
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	reg, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		fires := map[string]int64{}
		for _, st := range d.Status() {
			if st.Firing {
				fires[st.Indicator]++
			}
		}
		for name, t := range in.byRule {
			o.ObserveInt64(firing, fires[name], t.set)
			o.ObserveInt64(samples, t.samples.Load(), t.set)
			o.ObserveInt64(unknown, t.unknown.Load(), t.set)
			if t.probed {
				o.ObserveFloat64(took, time.Duration(t.took.Load()).Seconds(), t.set)
			}
		}
		return nil
	}, firing, samples, unknown, took)
	if err != nil {
		return nil, err
	}
	return reg.Unregister, nil
}
