package safety

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/andon-go/andon"
)

// ClosePlan is what a close-all would do, as data: print it, keep it as JSON, have it
// reviewed, refuse it. Nobody may change it: its id is made from all of its content.
type ClosePlan struct {
	ID     string           `json:"id"`
	At     time.Time        `json:"at"`
	Venues []ClosePlanVenue `json:"venues"` // ordered by name
}

// ClosePlanVenue is the part of a plan for one venue.
type ClosePlanVenue struct {
	Venue string `json:"venue"`

	// Unread says what could not be read, and why: all of the venue, and then the lists
	// are empty, or single rows that cannot be right, which are named and in no list.
	// Nothing of it is closed by this plan; entries are cancelled as far as they can be
	// read then.
	Unread string `json:"unread,omitempty"`

	Legs   []CloseLeg    `json:"legs"`   // every leg with a position
	Orders []andon.Order `json:"orders"` // every live order
}

// CloseLeg is one leg with a position, and what is to become of it.
type CloseLeg struct {
	Symbol   string        `json:"symbol"`
	Leg      andon.Leg     `json:"leg"`
	Quantity andon.Decimal `json:"quantity"` // signed
	Mark     andon.Decimal `json:"mark"`
	Close    andon.Decimal `json:"close"`         // of the quantity, without its sign
	Keep     andon.Decimal `json:"keep"`          // what the bot did not open, and nobody allowed to close
	Why      string        `json:"why,omitempty"` // why not all of it is closed

	// Low and High bound what the leg may become by the orders that are live: beyond
	// them somebody else is at work.
	Low  andon.Decimal `json:"low"`
	High andon.Decimal `json:"high"`
}

// Plan reads every venue and says what a close-all would do. It sends nothing. A venue
// or a row that cannot be read, and a book that cannot, are named in the plan and stand
// in nobody's way. Foreign are the legs that may be closed whole although the bot did not
// open them.
func (c *Closer) Plan(ctx context.Context, now time.Time, foreign ...andon.LegKey) (ClosePlan, error) {
	if now.IsZero() {
		return ClosePlan{}, errors.New("close-all: now is zero: the plan's age could not be told")
	}
	own, why := c.own(ctx)
	p := ClosePlan{At: now.UTC().Round(0), Venues: make([]ClosePlanVenue, 0, len(c.cfg.Venues))}
	names := slices.Sorted(maps.Keys(c.cfg.Venues))
	done := make([]chan ClosePlanVenue, len(names))
	for i, name := range names {
		done[i] = make(chan ClosePlanVenue, 1)
		go func() { done[i] <- c.planVenue(ctx, name, own, why, foreign) }()
	}
	for i, name := range names {
		select {
		case v := <-done[i]:
			p.Venues = append(p.Venues, v)
		case <-time.After(4 * c.cfg.CallWithin): // its code does not end with its context
			p.Venues = append(p.Venues, ClosePlanVenue{Venue: name, Unread: "a call to the venue did not end with its context", Legs: []CloseLeg{}, Orders: []andon.Order{}})
		}
	}
	var err error
	p.ID, err = p.digest()
	return p, err
}

// own returns what the bot opened, by leg, or why that is not known.
func (c *Closer) own(ctx context.Context) (map[andon.LegKey]andon.Decimal, string) {
	own := map[andon.LegKey]andon.Decimal{}
	if c.cfg.Book == nil {
		return own, "no book says that the bot opened it"
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallWithin)
	defer cancel()
	var positions []andon.Position
	read := make(chan error, 1)
	go func() {
		read <- calm("the book", func() (err error) {
			positions, err = c.cfg.Book.Positions(ctx)
			return err
		})
	}()
	select {
	case err := <-read:
		if err != nil {
			return own, "the book cannot be read: " + oneLine(err)
		}
	case <-ctx.Done(): // its code may not end with it
		return own, "the book cannot be read: " + ctx.Err().Error()
	}
	for _, p := range positions {
		own[p.Key()] = p.Quantity
	}
	return own, ""
}

func (c *Closer) planVenue(ctx context.Context, name string, own map[andon.LegKey]andon.Decimal, unknown string, foreign []andon.LegKey) ClosePlanVenue {
	v := ClosePlanVenue{Venue: name, Legs: []CloseLeg{}, Orders: []andon.Order{}}
	read, err := readVenue(ctx, name, &pacedVenue{venue: c.cfg.Venues[name].Venue, within: c.cfg.CallWithin})
	if err != nil {
		v.Unread = oneLine(err)
		return v
	}
	for _, o := range read.Orders {
		if _, err := json.Marshal(o); err != nil { // a kind or a state that has no name
			read.wrong = append(read.wrong, wrongRow{false, o.Key(), fmt.Errorf("order %s: %w", orderName(o), err)})
			continue
		}
		v.Orders = append(v.Orders, o)
	}
	if err := read.wrongRows(); err != nil {
		v.Unread = oneLine(err)
	}
	slices.SortFunc(v.Orders, func(a, b andon.Order) int {
		return cmp.Or(compareLegs(a.Key(), b.Key()), cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.VenueID, b.VenueID))
	})
	for _, p := range read.Positions {
		l := CloseLeg{Symbol: p.Symbol, Leg: p.Leg, Quantity: p.Quantity, Mark: p.Mark}
		l.divide(own[p.Key()], unknown, slices.Contains(foreign, p.Key()))
		l.bound(p.Key(), v.Orders)
		if _, dust := closable(c.cfg.Venues[name].Instruments[p.Symbol], l.Close, p.Mark); dust != "" && l.Close.Sign() > 0 {
			l.Why = strings.TrimPrefix(l.Why+"; dust: "+dust, "; ")
		}
		v.Legs = append(v.Legs, l)
	}
	slices.SortFunc(v.Legs, func(a, b CloseLeg) int { return compareLegs(a.key(name), b.key(name)) })
	return v
}

func (l CloseLeg) key(venue string) andon.LegKey {
	return andon.LegKey{Venue: venue, Symbol: l.Symbol, Leg: l.Leg}
}

// divide says how much of the leg is the bot's to close.
func (l *CloseLeg) divide(own andon.Decimal, unknown string, allowed bool) {
	size := l.Quantity.Abs()
	l.Close = size
	if allowed {
		if !own.Equal(l.Quantity) {
			l.Why = fmt.Sprintf("the bot's book says %v; allowed to be closed whole", own)
		}
		return
	}
	if own.Sign() != l.Quantity.Sign() {
		own = andon.Decimal{}
	}
	l.Close = size.Min(own.Abs())
	l.Keep = size.Sub(l.Close)
	switch {
	case l.Keep.IsZero():
	case unknown != "":
		l.Why = fmt.Sprintf("%v stays: %s: list the leg as foreign to close it", l.Keep, unknown)
	default:
		l.Why = fmt.Sprintf("%v stays: the bot did not open it: list the leg as foreign to close it", l.Keep)
	}
}

// bound says what the leg may become by the live orders that the venue does not keep
// from opening.
func (l *CloseLeg) bound(key andon.LegKey, orders []andon.Order) {
	l.Low, l.High = l.Quantity.Min(andon.Decimal{}), l.Quantity.Max(andon.Decimal{})
	for _, o := range orders {
		switch {
		case o.Key() != key || o.ReduceOnly:
		case o.Side == andon.Buy:
			l.High = l.High.Add(o.Remaining())
		default:
			l.Low = l.Low.Sub(o.Remaining())
		}
	}
}

// closable returns the part of a quantity that an order can close, and says why the rest
// is dust, or nothing.
func closable(in andon.Instrument, q, mark andon.Decimal) (andon.Decimal, string) {
	if in.Lot.Sign() > 0 {
		whole, err := toStep(q, in.Lot, andon.Down)
		if err != nil {
			return andon.Decimal{}, fmt.Sprintf("%v cannot be told in lots of %v: %v", q, in.Lot, err)
		}
		if whole.IsZero() {
			return whole, fmt.Sprintf("%v is less than the lot of %v", q, in.Lot)
		}
		q = whole
	}
	if in.MinNotional.Sign() > 0 && mark.Sign() > 0 {
		value, err := q.Mul(mark)
		if err == nil && value.Less(in.MinNotional) {
			return andon.Decimal{}, fmt.Sprintf("%v at %v is worth %v, less than the minimum notional of %v", q, mark, value, in.MinNotional)
		}
	}
	return q, ""
}

func (p ClosePlan) digest() (string, error) {
	p.ID = ""
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("close-all: plan: %w", err)
	}
	sum := sha256.Sum256(b)
	return "close-all-" + hex.EncodeToString(sum[:]), nil
}

// Verify is ErrPlanAltered when the plan is not what Plan made.
func (p ClosePlan) Verify() error {
	id, err := p.digest()
	if err != nil {
		return err
	}
	if id != p.ID {
		return fmt.Errorf("plan %q: %w: make a new one", p.ID, ErrPlanAltered)
	}
	return nil
}

// unplanned returns the venues of a closer that the plan does not have, by name.
func (p ClosePlan) unplanned(venues map[string]CloseVenue) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(venues)) {
		if !slices.ContainsFunc(p.Venues, func(v ClosePlanVenue) bool { return v.Venue == name }) {
			names = append(names, name)
		}
	}
	return names
}

// Token is what a person types to confirm the plan: short, and of this plan alone.
func (p ClosePlan) Token() string {
	id := strings.TrimPrefix(p.ID, "close-all-")
	if len(id) < 8 {
		return "(no token: the plan has no id)"
	}
	return "close-" + id[:8]
}

// String returns the plan as WriteTable writes it.
func (p ClosePlan) String() string {
	var b bytes.Buffer
	_ = p.WriteTable(&b) // a buffer takes everything
	return b.String()
}

// WriteTable writes the plan for people: every leg, every order, and the token to type.
func (p ClosePlan) WriteTable(w io.Writer) error {
	t := newTable(w)
	legs, orders := 0, 0
	for _, v := range p.Venues {
		orders += len(v.Orders)
		for _, l := range v.Legs {
			if l.Close.Sign() > 0 {
				legs++
			}
		}
	}
	t.row("close-all: %d legs to close, %d live orders to cancel, on %d venues", legs, orders, len(p.Venues))
	for _, v := range p.Venues {
		if v.Unread != "" {
			t.row("%s\tCANNOT BE READ: nothing of this is closed by this plan: %s", v.Venue, v.Unread)
		}
		for _, l := range v.Legs {
			t.row("%v\t%v\tclose %v\tkeep %v\t%s", l.key(v.Venue), l.Quantity, l.Close, l.Keep, l.Why)
		}
		for _, o := range v.Orders {
			what := "cancel"
			if v.protects(o) {
				what = "stays" // with what it protects
			}
			t.row("%v\t%v %v\t%v\t%s\t%s", o.Key(), o.Side, o.Remaining(), o.Kind, what, orderName(o))
		}
	}
	t.row("to confirm, type %s", p.Token())
	return t.flush()
}

// protects says whether an order protects a leg of which something stays.
func (v ClosePlanVenue) protects(o andon.Order) bool {
	return o.Kind.Conditional() && slices.ContainsFunc(v.Legs, func(l CloseLeg) bool {
		return l.key(v.Venue) == o.Key() && l.Keep.Sign() > 0 && l.Quantity.Sign()*o.Side.Sign() < 0
	})
}

// table is a tabwriter that keeps the first errors and lets no venue's text move the
// cursor.
type table struct {
	tw   *tabwriter.Writer
	errs []error
}

func newTable(w io.Writer) *table { return &table{tw: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t *table) row(format string, args ...any) {
	line := strings.TrimRight(strings.Map(printableTab, fmt.Sprintf(format, args...)), "\t")
	if _, err := fmt.Fprintln(t.tw, line); err != nil {
		t.errs = append(t.errs, err)
	}
}

func (t *table) flush() error { return errors.Join(append(t.errs, t.tw.Flush())...) }
