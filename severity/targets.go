package severity

import "time"

// Targets is how fast the playbook wants an incident of one level handled.
type Targets struct {
	Respond     time.Duration // from declaration to a person's answer
	Resolve     time.Duration // from declaration to resolution
	StatusEvery time.Duration // between status updates; zero: none are owed
}

// Targets returns the playbook's targets for l. Unclassified, and any value that
// is no level, has those of SEV1.
func (l Level) Targets() Targets {
	switch l.effective() {
	case SEV2:
		return Targets{Respond: 15 * time.Minute, Resolve: 4 * time.Hour, StatusEvery: 30 * time.Minute}
	case SEV3:
		return Targets{Respond: 30 * time.Minute, Resolve: 8 * time.Hour}
	case SEV4:
		return Targets{Respond: 2 * time.Hour, Resolve: 24 * time.Hour}
	}
	return Targets{Respond: 5 * time.Minute, Resolve: time.Hour, StatusEvery: 30 * time.Minute}
}
