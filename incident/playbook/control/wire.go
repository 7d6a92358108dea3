package control

import (
	"encoding/json"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/incident/runbook"
	"github.com/andon-go/andon/reconcile"
	"github.com/andon-go/andon/recovery"
	"github.com/andon-go/andon/safety"
)

// Hold is a reason not to trade freely, and its number, which Client.Resume is given.
type Hold = safety.Hold

// Flag is a flag file as the bot has last seen it.
type Flag struct {
	Path    string `json:"path"`
	Watched string `json:"watched"` // the path with the links of its folder followed
	Present bool   `json:"present"`
	Problem string `json:"problem,omitempty"` // why it could not be looked at
}

// Status is how a bot stands.
type Status struct {
	Name       string              `json:"name,omitempty"`
	State      safety.TradingState `json:"state"`
	Holds      []Hold              `json:"holds"`              // strictest first
	Passing    []uint64            `json:"passing,omitempty"`  // the ids of holds that go when their cause does
	Writes     string              `json:"writes,omitempty"`   // why writes are held; empty: they are not
	InFlight   int                 `json:"in_flight"`          // orders whose outcome is not settled
	Unresolved []string            `json:"unresolved"`         // client ids of orders whose outcome is unknown
	Flags      []Flag              `json:"flags"`              //
	Resumed    safety.Resumption   `json:"resumed"`            // who last opened the gate
	Durable    bool                `json:"durable"`            // false while a change is not on disk yet
	Incidents  []Incident          `json:"incidents"`          // that are open
	Runs       []Run               `json:"runs"`               // of runbooks that are not over
	PID        int                 `json:"pid"`                // of the bot
	Commands   []string            `json:"commands,omitempty"` // that this bot knows
}

// Stopped is what a stop did. State is read after it: halted, or the stop did not hold.
type Stopped struct {
	State    safety.TradingState `json:"state"`
	Hold     Hold                `json:"hold"`
	Closed   time.Duration       `json:"closed"`            // nanoseconds from the command to the closed gate
	Durable  bool                `json:"durable"`           // the hold is on disk
	InFlight []string            `json:"in_flight"`         // client ids of orders that had passed and are not settled
	Problem  string              `json:"problem,omitempty"` // such as that it is not durable yet
}

// Positions is what one venue says, and whether it is protected.
type Positions struct {
	Venue     string           `json:"venue"`
	Positions []andon.Position `json:"positions"`
	Orders    int              `json:"orders"` // live orders, conditional ones included
	Flat      bool             `json:"flat"`
	Protected bool             `json:"protected"` // of every leg; false where it is not known
	Detail    string           `json:"detail,omitempty"`
	Problem   string           `json:"problem,omitempty"` // why the venue could not be read: nothing is known then
}

// Protection is what would be, or was, placed on one venue.
type Protection struct {
	Venue   string                `json:"venue"`
	Plan    safety.ProtectionPlan `json:"plan"`
	Text    string                `json:"text"`
	Placed  int                   `json:"placed"`
	After   string                `json:"after,omitempty"` // what the venue says at the end
	Good    bool                  `json:"good"`            // every leg is protected
	Problem string                `json:"problem,omitempty"`
}

// Comparison is what a comparison of the book with one venue found.
type Comparison struct {
	Venue   string          `json:"venue"`
	Clean   bool            `json:"clean"`
	Text    string          `json:"text"`              // for people
	Plan    *reconcile.Plan `json:"plan,omitempty"`    // the repairs; nil where no plan can be made
	Problem string          `json:"problem,omitempty"` // a side that gave no answer
}

// Incident is an incident for people and programs.
type Incident struct {
	Number     string    `json:"number"`
	Level      string    `json:"level"`
	Status     string    `json:"status"`
	Summary    string    `json:"summary"`
	Component  string    `json:"component"`
	Condition  string    `json:"condition"`
	Why        string    `json:"why"` // the reason for the level
	Commander  string    `json:"commander,omitempty"`
	DeclaredAt time.Time `json:"declared_at"`
	RespondBy  time.Time `json:"respond_by,omitzero"`
	ResolveBy  time.Time `json:"resolve_by,omitzero"`
	HaltedAt   time.Time `json:"halted_at,omitzero"`
	PagedAt    time.Time `json:"paged_at,omitzero"` // a channel has accepted the first page
	AckedAt    time.Time `json:"acked_at,omitzero"`
	AckedBy    string    `json:"acked_by,omitempty"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	Unproven   []string  `json:"unproven,omitempty"` // items of the checklist
	Problem    string    `json:"problem,omitempty"`  // such as STOP NOT CONFIRMED, or that it holds and is not recorded yet
}

func view(in incident.Incident) Incident {
	return Incident{
		Number: in.Number, Level: in.Level.String(), Status: string(in.Status), Summary: in.Summary, Component: in.Component,
		Condition: string(in.Condition), Why: in.Why, Commander: in.Commander, DeclaredAt: in.DeclaredAt, RespondBy: in.RespondBy,
		ResolveBy: in.ResolveBy, HaltedAt: in.HaltedAt, PagedAt: in.FirstPageAt, AckedAt: in.AckedAt, AckedBy: in.AckedBy,
		ResolvedAt: in.ResolvedAt,
	}
}

// Step is one step of a runbook: what it would do, or how far it is.
type Step struct {
	Name     string   `json:"name"`
	Purpose  string   `json:"purpose,omitempty"`
	Commands []string `json:"commands,omitempty"` // the playbook's own
	Plan     string   `json:"plan,omitempty"`     // what it would do now
	Approval string   `json:"approval,omitempty"` // who must agree; empty: nobody
	Status   string   `json:"status,omitempty"`
	Evidence string   `json:"evidence,omitempty"`
	Problem  string   `json:"problem,omitempty"`
}

// Run is how far a run of a runbook is.
type Run struct {
	ID       string `json:"id"`
	Runbook  string `json:"runbook"`
	Incident string `json:"incident"`
	By       string `json:"by"`
	Status   string `json:"status"`
	For      string `json:"for,omitempty"` // of a run that waits: the step, and for what
	Steps    []Step `json:"steps"`
}

func viewRun(r runbook.Run) Run {
	v := Run{ID: r.ID, Runbook: r.Runbook, Incident: r.Incident, By: r.By, Status: string(r.Status), For: r.For, Steps: []Step{}}
	for _, s := range r.Steps {
		v.Steps = append(v.Steps, Step{Name: s.Name, Status: string(s.Status), Evidence: s.Evidence, Problem: s.Error})
	}
	return v
}

// Event is one line of a timeline.
type Event struct {
	Seq      uint64    `json:"seq"` // 0: it waits to be recorded
	At       time.Time `json:"at"`
	Incident string    `json:"incident,omitempty"`
	Kind     string    `json:"kind"`
	By       string    `json:"by"`
	What     string    `json:"what"`
	Why      string    `json:"why"`
}

// The requests. By is a named person, Why a reason, wherever something changes.
type (
	none    struct{}
	stopReq struct {
		By  string `json:"by"`
		Why string `json:"why"`
	}
	resumeReq struct {
		By   string   `json:"by"`
		Note string   `json:"note"`
		Seen []uint64 `json:"seen"`
	}
	closePlanReq struct {
		Foreign []andon.LegKey `json:"foreign,omitempty"`
	}
	closeReq struct {
		Plan  safety.ClosePlan `json:"plan"`
		By    string           `json:"by"`
		Note  string           `json:"note"`
		Token string           `json:"token"`
	}
	protectReq struct {
		By     string `json:"by"`
		Commit bool   `json:"commit"`
	}
	exchangeReq struct {
		Exchange string `json:"exchange"`
	}
	applyReq struct {
		Exchange string         `json:"exchange"`
		Plan     reconcile.Plan `json:"plan"`
		By       string         `json:"by"`
		Note     string         `json:"note"`
		Commit   bool           `json:"commit"`
	}
	lookReq struct {
		What string `json:"what"`
		Arg  string `json:"arg,omitempty"`
	}
	// Look is what a look saw.
	looked struct {
		Text string `json:"text"`
	}
	declareReq struct {
		By        string `json:"by"`
		Summary   string `json:"summary"`
		Condition string `json:"condition"`
		Component string `json:"component"`
	}
	incidentReq struct {
		Number string `json:"number"`
		By     string `json:"by"`
		Text   string `json:"text,omitempty"`
	}
	updateReq struct {
		Number string          `json:"number"`
		By     string          `json:"by"`
		Update incident.Update `json:"update"`
	}
	resolveReq struct {
		Number     string    `json:"number"`
		By         string    `json:"by"`
		Note       string    `json:"note"`
		RootCause  string    `json:"root_cause,omitempty"`
		Despite    string    `json:"despite,omitempty"`
		PostMortem time.Time `json:"post_mortem,omitzero"`
	}
	runbookReq struct {
		Runbook string            `json:"runbook"`
		Number  string            `json:"number"`
		By      string            `json:"by"`
		Why     string            `json:"why"`
		Params  map[string]string `json:"params,omitempty"`
	}
	stepReq struct {
		ID     string `json:"id"`
		Step   string `json:"step,omitempty"`
		By     string `json:"by"`
		Why    string `json:"why"`
		Action string `json:"action"`
	}
	evidenceReq struct {
		By       string `json:"by"`
		Incident string `json:"incident"`
		Why      string `json:"why"`
	}
	postmortemReq struct {
		Number string `json:"number"`
		Before string `json:"before,omitempty"` // the report as it lies there now
	}
	componentReq struct {
		Component recovery.Component `json:"component"`
		By        string             `json:"by"`
	}
	changeReq struct {
		Key    string `json:"key"`
		By     string `json:"by"`
		Why    string `json:"why"`
		What   string `json:"what"` // the venue, or the revision
		Commit bool   `json:"commit"`
	}
	recordReq struct {
		At   time.Time `json:"at"`
		Who  string    `json:"who"`
		What string    `json:"what"`
		Why  string    `json:"why"`
	}
)

// Archive is a sealed archive of evidence.
type Archive struct {
	Path     string          `json:"path"`
	SHA256   string          `json:"sha256"`
	Size     int64           `json:"size"`
	Entries  int             `json:"entries"`
	Problems json.RawMessage `json:"problems,omitempty"` // what could not be had
}

// PostMortem is a report: Markdown, and one HTML page with the timeline drawn.
type PostMortem struct {
	Markdown string   `json:"markdown"`
	HTML     string   `json:"html"`
	Waiting  []string `json:"waiting"` // places that wait for a person
}
