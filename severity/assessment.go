package severity

import "time"

// Assessment is a level with its reason. The zero Assessment is treated as SEV-1
// and halts.
type Assessment struct {
	Level     Level     `json:"level"`
	Why       string    `json:"why"`            // one sentence, for the timeline and the page
	Decided   []Signal  `json:"decided"`        // the signals that have this level
	Rule      string    `json:"rule,omitempty"` // name of the rule that graded the first of Decided; empty: the table of conditions did
	At        time.Time `json:"at"`             // the now it was made with
	RespondBy time.Time `json:"respond_by"`
	ResolveBy time.Time `json:"resolve_by"`

	// PageOnly says that what decided is unclassified and comes only from sources
	// configured to page without a halt.
	PageOnly bool `json:"page_only,omitempty"`

	// Nothing says that there is no incident: no signal, or only our own halt.
	Nothing bool `json:"nothing,omitempty"`
}

// Halts reports whether trading must stop: SEV-1, by a signal that may halt.
func (a Assessment) Halts() bool { return !a.Nothing && !a.PageOnly && a.Level.AtLeast(SEV1) }

// Classifier turns signals into one assessment. Implementations are safe for
// concurrent use, answer the worst where they do not know, and read no clock.
type Classifier interface {
	Assess(now time.Time, signals ...Signal) Assessment
}
