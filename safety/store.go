package safety

import (
	"context"
	"time"
)

// State is what a switch keeps across restarts.
type State struct {
	// Name is the bot's, from Config. A state under another name is foreign.
	Name string `json:"name"`

	// Seq rises by one with every save.
	Seq uint64 `json:"seq"`

	// LastHold is the highest hold id that was ever placed.
	LastHold uint64 `json:"last_hold"`

	// Holds are those that only a person lifts. None means that trading was active.
	Holds []Hold `json:"holds"`

	// Resumed says who last opened the gate; its zero value, nobody yet.
	Resumed Resumption `json:"resumed,omitzero"`

	// Trips are the windows of the trips, where the switch ever had any.
	Trips *TripState `json:"trips,omitempty"`

	SavedAt time.Time `json:"saved_at"`
}

// Resumption is a named person's decision to trade again.
type Resumption struct {
	By   string    `json:"by"`
	Note string    `json:"note"`
	At   time.Time `json:"at"`
}

// Store keeps the state of one switch. safetytest.TestStore checks an
// implementation. Load and Save are never called at the same time.
type Store interface {
	// Load returns the newest state whose Save returned nil, or that of a Save cut
	// short by a crash. It is ErrNoState where there is none, and ErrStateDamaged
	// where there is one that cannot be trusted: never a guess.
	Load(ctx context.Context) (State, error)

	// Save replaces the state. Nil means that it outlives this process and a loss
	// of power. After an error or a crash, Load returns the old state, the new one,
	// or an error.
	Save(ctx context.Context, s State) error
}
