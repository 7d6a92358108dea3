package safety

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/andon-go/andon"
)

const (
	// finishWithin is how long a venue may take, after its budget or its context has
	// ended, to protect again what is naked by this close-all.
	finishWithin = 10 * time.Second

	// closeTries bounds the client ids of a leg: each is used up by an order that was
	// there and is done.
	closeTries = 64

	// closeFailures is how often in a row closing a leg may fail before it is handed
	// to a person.
	closeFailures = 8

	// patience is for how many readings an exit may rest, and an entry may resist being
	// cancelled, before something is done about it.
	patience = 5
)

// closing is the close-all of one venue.
type closing struct {
	c       *Closer
	sw      *Switch
	name    string
	venue   *pacedVenue
	plan    ClosePlanVenue
	planID  string
	by      string
	may     bool // the decision is recorded, so positions may be closed
	legs    []*closingLeg
	own     map[string]bool // what the client ids of our exits begin with
	orders  []*closingOrder // every order that was seen live
	bare    *closingLeg     // whose stops are away
	last    FlatReport
	read    bool          // last is of some reading
	resting bool          // the last reading shows an exit of ours as live
	unread  []andon.Order // the live orders of a reading that failed, as far as it went
	wrong   []wrongRow    // of the last reading
	trouble error
	report  CloseVenueReport
}

// closingLeg is one leg while it is closed.
type closingLeg struct {
	CloseLeg
	name     andon.LegKey
	in       andon.Instrument
	planned  bool
	quantity andon.Decimal // at the last reading
	mark     andon.Decimal
	absent   int  // readings in a row without it
	unsure   bool // the last reading lacks it, and may have it in a row that cannot be right
	waited   int  // readings for which an entry on it would not go

	exits    string // what the client ids of its exits begin with
	guard    string // and those of orders that protect it again
	try      int    // the number of the next exit
	free     bool   // the venue knows no order by that exit's id
	rested   int    // readings for which the exit was live
	failures int    // in a row
	closed   andon.Decimal
	ids      []string
	why      string
	moved    string
	dust     string

	stops  []andon.Order // its protection that is away by our hand
	guards int           // the number of the next order that protects it again
}

// closingOrder is an order that was seen live.
type closingOrder struct {
	andon.Order
	listed  bool // by the last reading
	missing int  // readings in a row without it
	orphan  int  // readings in a row that show it and no position on its leg
	gone    bool
}

func newClosing(c *Closer, planID string, plan ClosePlanVenue, by string, may bool) *closing {
	v := c.cfg.Venues[plan.Venue]
	r := &closing{
		c: c, sw: c.cfg.Switch, name: plan.Venue, plan: plan, planID: planID, by: by, may: may,
		venue: &pacedVenue{venue: v.Venue, within: c.cfg.CallWithin}, own: map[string]bool{},
		report: CloseVenueReport{Venue: plan.Venue},
	}
	for _, p := range plan.Legs {
		l := &closingLeg{CloseLeg: p, name: p.key(plan.Venue), in: v.Instruments[p.Symbol], planned: true, quantity: p.Quantity, mark: p.Mark}
		l.exits, l.guard = r.prefix("close", l), r.prefix("guard", l)
		r.legs = append(r.legs, l)
		r.own[l.exits] = true
	}
	for _, o := range plan.Orders {
		r.orders = append(r.orders, &closingOrder{Order: o})
	}
	return r
}

// prefix is what the client ids of a leg's orders begin with; their number follows. It is
// made from the plan and the leg, so that a process that starts again finds what another
// has sent.
func (r *closing) prefix(what string, l *closingLeg) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %q %q %v", what, r.planID, l.name.Venue, l.name.Symbol, l.name.Leg))
	return "andon-" + hex.EncodeToString(sum[:12]) + "-"
}

func numbered(prefix string, n int) string { return prefix + strconv.Itoa(n) }

// isExit says whether a client id is of an exit of this plan.
func (r *closing) isExit(id string) bool { return r.own[id[:strings.LastIndexByte(id, '-')+1]] }

// run works until the venue is done, or its budget is spent.
func (r *closing) run(ctx context.Context) CloseVenueReport {
	start := time.Now()
	work, cancel := context.WithTimeout(ctx, r.c.cfg.VenueBudget)
	defer cancel()
	agree, flat := 0, true
	for agree < r.c.cfg.Confirm {
		if r.sw.State() != Halted {
			r.report.Stopped = "trading is not halted any more: somebody resumed it, or the switch was closed"
			break
		}
		busy, hurry := r.round(work)
		if agree, flat = agree+1, flat && r.last.Flat; busy {
			agree, flat = 0, true
		}
		if agree < r.c.cfg.Confirm && !hurry && !pause(work, r.c.cfg.RetryEvery) || work.Err() != nil {
			r.report.Stopped = fmt.Sprintf("its time is over after %v", time.Since(start).Round(time.Millisecond))
			if r.trouble != nil {
				r.report.Stopped += ": " + oneLine(r.trouble)
			}
			break
		}
	}
	finish, cancelFinish := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancelFinish()
	r.guardAgain(finish)
	r.report.InFlight = r.sw.inFlightOn(r.name)
	r.report.Flat = r.last
	r.report.Flat.Flat = agree >= r.c.cfg.Confirm && flat && len(r.report.InFlight) == 0
	r.report.Took = time.Since(start)
	r.account()
	return r.report
}

// round reads the venue once and does what is to be done. It is busy until a reading
// finds nothing to do, and in a hurry where something naked waits for the next reading.
func (r *closing) round(ctx context.Context) (busy, hurry bool) {
	r.trouble = nil
	busy, ok := r.look(ctx)
	if !ok {
		r.cancelUnread(ctx)
		return true, false
	}
	busy = r.cancelFirst(ctx) || busy
	if r.may {
		for _, l := range r.legs {
			busy = r.closeLeg(ctx, l) || busy
		}
	}
	busy = r.cancelLast(ctx) || busy
	for _, l := range r.legs {
		busy = busy || l.absent > 0 && !r.finished(l) // it may be there, and this list wrong
	}
	return busy, r.bare != nil && len(r.bare.stops) > 0 && r.bare.failures == 0 && !r.bare.unsure
}

// look reads the venue, shows it to the gate, and looks up what the lists do not say. It
// is busy while an order may still do something, or a row cannot be right, and not ok where
// nothing could be read.
func (r *closing) look(ctx context.Context) (busy, ok bool) {
	read, err := readVenue(ctx, r.name, r.venue)
	switch {
	case err != nil:
	case len(read.wrong) > 0:
		// The gate is not shown a view with holes in it, nor does it go on by an older one,
		// in which the exits of before have not traded.
		r.sw.distrust(r.name)
		r.trouble, busy = read.wrong[0], true
	default:
		if err = r.sw.Observe(read.view); errors.Is(err, ErrStaleView) {
			err = nil // the next one is of later; until then reduce-only exits pass
		}
	}
	if err != nil {
		r.trouble = err
		r.last.Flat = false
		r.unread = read.Orders
		return true, false
	}
	r.last, r.read, r.wrong = read.FlatReport, true, read.wrong
	if len(r.sw.inFlightOn(r.name)) > 0 {
		if _, err := r.sw.Resolve(ctx, r.name, r.venue); err != nil {
			r.trouble = err
		}
		busy = true
	}
	r.update(read.FlatReport)
	return r.verifyGone(ctx) || r.resting || busy, true
}

// update takes a reading in.
func (r *closing) update(flat FlatReport) {
	for _, l := range r.legs {
		if l.unsure = r.mayHide(l); !l.unsure {
			l.absent++
		}
	}
	for _, p := range flat.Positions {
		l := r.leg(p.Key())
		if l == nil {
			l = &closingLeg{CloseLeg: CloseLeg{Symbol: p.Symbol, Leg: p.Leg}, name: p.Key()}
			r.legs = append(r.legs, l)
		}
		l.absent, l.unsure, l.quantity, l.mark = 0, false, p.Quantity, p.Mark
	}
	for _, l := range r.legs {
		if l.absent > 0 {
			l.dust, l.moved = "", ""
		}
	}
	for _, o := range r.orders {
		o.listed = false
	}
	r.resting = false
	for _, o := range flat.Orders {
		if r.isExit(o.ClientID) {
			r.resting = true
			continue
		}
		k := r.order(o)
		k.Order, k.listed, k.missing, k.gone = o, true, 0, false
		if l := r.leg(o.Key()); l == nil || l.absent > 0 {
			k.orphan++
		} else {
			k.orphan = 0
		}
	}
}

// mayHide says whether a row of the last reading that cannot be right may be of a leg that
// the reading lacks: of any, nil too, but one that our exits have closed is in a row of its
// own at most.
func (r *closing) mayHide(l *closingLeg) bool {
	return slices.ContainsFunc(r.wrong, func(w wrongRow) bool {
		return w.position && (l == nil || !l.explained() || w.leg == l.name)
	})
}

// order returns what is known of an order, or begins to know it.
func (r *closing) order(o andon.Order) *closingOrder {
	i := slices.IndexFunc(r.orders, func(k *closingOrder) bool {
		return o.ClientID != "" && k.ClientID == o.ClientID || o.VenueID != "" && k.VenueID == o.VenueID
	})
	if i < 0 {
		i = len(r.orders)
		r.orders = append(r.orders, &closingOrder{Order: o})
	}
	return r.orders[i]
}

func (r *closing) leg(k andon.LegKey) *closingLeg {
	if i := slices.IndexFunc(r.legs, func(l *closingLeg) bool { return l.name == k }); i >= 0 {
		return r.legs[i]
	}
	return nil
}

// verifyGone looks up the orders that no list shows any more: a list may be wrong, and
// an order that was cancelled may have traded. It is busy while it cannot tell.
func (r *closing) verifyGone(ctx context.Context) (busy bool) {
	for _, o := range r.orders {
		if o.gone || o.listed {
			continue
		}
		o.missing++
		if o.ClientID != "" {
			found, err := r.venue.Lookup(ctx, o.Symbol, o.ClientID)
			switch {
			case err == nil && found.Status.Done():
				o.gone = true
			case err == nil:
				o.Order, o.missing = found, 0
			case !errors.Is(err, andon.ErrOrderNotFound):
				o.missing = 0
				r.trouble = err
			}
		}
		if o.missing >= r.c.cfg.Confirm && len(r.wrong) == 0 {
			o.gone = true
		}
		busy = busy || !o.gone
	}
	return busy
}

// place says when an order is cancelled.
type place uint8

const (
	first      place = iota // at once
	withSymbol              // right before its leg is closed
	last                    // when its leg is gone
	stays                   // it protects what stays
	waits                   // not before it is sure that its leg has no position
)

// placeOf says when an order is to go.
func (r *closing) placeOf(o *closingOrder) place {
	l := r.leg(o.Key())
	spot := r.c.cfg.Venues[r.name].Instruments[o.Symbol].Base != ""
	switch {
	case !o.Kind.Conditional():
		return first
	case l == nil && r.mayHide(nil) || l != nil && l.unsure:
		return stays // what it protects may be in a row that cannot be right
	case l == nil || l.quantity.IsZero():
		// Nothing is known to be there. Only a list that lies would make it protection.
		if (o.ReduceOnly || spot && o.Side == andon.Sell) && o.orphan < r.c.cfg.Confirm {
			return waits
		}
		return first
	}
	exit := l.quantity.Sign()*o.Side.Sign() < 0
	switch {
	case !exit && o.ReduceOnly:
		return last
	case !exit:
		return first
	case r.finished(l):
		return last
	case !l.planned || l.Keep.Sign() > 0 || l.moved != "" || !r.may:
		return stays
	case o.ReduceOnly && !spot:
		return last
	}
	return withSymbol
}

// finished says that nothing is left of a leg that an order could close, and that this is
// sure: our exits explain it, or readings agree.
func (r *closing) finished(l *closingLeg) bool {
	return l.absent >= r.c.cfg.Confirm || l.absent > 0 && l.explained() || l.dust != "" && l.Keep.IsZero()
}

// explained says that our exits have closed all that the plan closes, and that it keeps
// nothing.
func (l *closingLeg) explained() bool {
	return l.planned && l.Keep.IsZero() && l.Close.Sign() > 0 && !l.closed.Less(l.Close)
}

// cancelFirst cancels what could add exposure and what stands in the way of exits. It is
// busy while any of it may be there.
func (r *closing) cancelFirst(ctx context.Context) (busy bool) {
	for _, o := range r.orders {
		if o.gone {
			continue
		}
		switch r.placeOf(o) {
		case first:
			r.cancel(ctx, o)
			busy = true
		case waits:
			busy = true
		}
	}
	return busy
}

// cancelUnread cancels the resting orders of a venue that answers no more than its orders:
// what is to be cancelled first needs no position. Conditional ones stay, since whether
// they protect something is not known.
func (r *closing) cancelUnread(ctx context.Context) {
	trouble := r.trouble
	for _, o := range r.unread {
		if o.Venue == r.name && !o.Kind.Conditional() && !r.isExit(o.ClientID) {
			r.cancel(ctx, r.order(o))
		}
	}
	r.trouble = trouble // the cause, before what followed on it
}

// cancelLast cancels the protection of legs that are gone.
func (r *closing) cancelLast(ctx context.Context) (busy bool) {
	for _, o := range r.orders {
		if o.gone || r.placeOf(o) != last {
			continue
		}
		l := r.leg(o.Key())
		if r.finished(l) {
			r.cancel(ctx, o)
			busy = true
		} else if l.absent > 0 {
			busy = true // not sure yet
		}
	}
	return busy
}

// cancel asks for an order to be cancelled. Whatever is answered, the next reading and a
// look-up say what came of it.
func (r *closing) cancel(ctx context.Context, o *closingOrder) {
	if err := r.venue.Cancel(ctx, o.Order); err != nil && !errors.Is(err, andon.ErrOrderNotFound) {
		r.trouble = fmt.Errorf("cancel %s: %w", orderName(o.Order), err)
	}
}

// closeLeg takes a leg one step on. It is busy unless nothing can be done for it.
func (r *closing) closeLeg(ctx context.Context, l *closingLeg) (busy bool) {
	if !l.planned {
		return false
	}
	if !r.probe(ctx, l) {
		return true
	}
	l.moved, l.dust = "", ""
	if l.unsure {
		return true
	}
	if l.absent > 0 {
		if len(l.stops) > 0 && r.finished(l) {
			l.stops = nil
		}
		if r.bare == l {
			r.bare = nil
		}
		return false // two readings more will agree, or find it again
	}
	if l.quantity.Less(l.Low) || l.High.Less(l.quantity) || l.Keep.Sign() > 0 && l.quantity.Sign() != l.Quantity.Sign() {
		l.moved = fmt.Sprintf("it was %v and is %v, which its live orders do not explain", l.Quantity, l.quantity)
		return false
	}
	want := l.quantity.Abs().Sub(l.Keep)
	if l.Keep.Sign() > 0 {
		want = want.Min(l.Close.Sub(l.closed)) // a reading of earlier must not take from what stays
	}
	if want.Sign() <= 0 || l.failures >= closeFailures || l.try >= closeTries {
		return false
	}
	if r.entriesOn(l) && l.waited < patience {
		l.waited++
		return true
	}
	if _, l.dust = closable(l.in, want, l.mark); l.dust != "" {
		return false
	}
	if wait := r.bareLeg(ctx, l); wait {
		return true
	}
	size, why := r.available(ctx, l, want)
	if why != "" {
		r.fail(ctx, l, why)
		return true
	}
	r.send(ctx, l, size)
	return true
}

// entriesOn says whether an order that is cancelled first is still there on a leg.
func (r *closing) entriesOn(l *closingLeg) bool {
	return slices.ContainsFunc(r.orders, func(o *closingOrder) bool {
		return !o.gone && o.Key() == l.name && r.placeOf(o) == first
	})
}

// probe finds the number of the next exit, and adds up what the ones before it closed. It
// is false while an exit is under way, or ended after the reading was made.
func (r *closing) probe(ctx context.Context, l *closingLeg) bool {
	settled := false
	for !l.free && l.try < closeTries {
		id := numbered(l.exits, l.try)
		found, err := r.venue.Lookup(ctx, l.Symbol, id)
		switch {
		case errors.Is(err, andon.ErrOrderNotFound):
			if slices.Contains(r.sw.inFlightOn(r.name), id) {
				return false // it may be on its way
			}
			l.free = true
		case err != nil:
			r.trouble = err
			return false
		case found.Status.Done():
			l.settle(found)
			settled = true
		default:
			if l.rested++; l.rested > patience {
				r.cancel(ctx, &closingOrder{Order: found})
			}
			return false
		}
	}
	return !settled
}

// settle adds an exit that is done to what was closed.
func (l *closingLeg) settle(o andon.Order) {
	if !slices.Contains(l.ids, o.ClientID) {
		l.ids = append(l.ids, o.ClientID)
	}
	l.closed = l.closed.Add(o.Filled)
	l.try++
	l.rested = 0
	if o.Filled.Sign() > 0 {
		l.failures = 0
	}
}

// bareLeg takes away the protection that stands in the way of closing a leg, one leg at a
// time. It is true while the leg has to wait.
func (r *closing) bareLeg(ctx context.Context, l *closingLeg) (wait bool) {
	for _, o := range r.orders {
		if o.gone || o.Key() != l.name || r.placeOf(o) != withSymbol {
			continue
		}
		if r.bare != nil && r.bare != l {
			return true
		}
		r.bare = l
		if !slices.ContainsFunc(l.stops, func(s andon.Order) bool { return s.ClientID == o.ClientID && s.VenueID == o.VenueID }) {
			l.stops = append(l.stops, o.Order)
		}
		r.cancel(ctx, o)
		wait = true
	}
	return wait
}

// available returns what can be closed now. On spot that is at most the free balance: a
// fee in the base currency makes it less than what was bought.
func (r *closing) available(ctx context.Context, l *closingLeg, want andon.Decimal) (andon.Decimal, string) {
	if l.in.Base != "" {
		balances, err := r.venue.Balances(ctx)
		if err != nil {
			return want, "the free balance is not known: " + oneLine(err)
		}
		i := slices.IndexFunc(balances, func(b andon.Balance) bool { return b.Currency == l.in.Base })
		if i < 0 {
			return want, "the venue lists no balance of " + l.in.Base
		}
		want = want.Min(balances[i].Available())
		if want.Sign() <= 0 {
			return want, fmt.Sprintf("no %s is free: %v of %v are reserved", l.in.Base, balances[i].Reserved, balances[i].Total)
		}
	}
	size, dust := closable(l.in, want, l.mark)
	if size.IsZero() {
		return size, dust
	}
	return size, ""
}

// send sends one exit.
func (r *closing) send(ctx context.Context, l *closingLeg, size andon.Decimal) {
	o := andon.Order{
		ClientID: numbered(l.exits, l.try), Venue: r.name, Symbol: l.Symbol, Leg: l.Leg, Kind: andon.Market,
		Side: andon.Position{Quantity: l.quantity}.ExitSide(), Quantity: size, ReduceOnly: l.in.Base == "",
	}
	got, err := r.sw.SubmitClose(ctx, r.venue, o, r.by)
	if !errors.Is(err, ErrDenied) {
		l.free = false
		if !slices.Contains(l.ids, o.ClientID) {
			l.ids = append(l.ids, o.ClientID)
		}
	}
	switch {
	case err == nil && got.Status.Done() && got.ClientID == o.ClientID:
		l.settle(got)
		l.free = true
	case err == nil:
	case errors.Is(err, andon.ErrOutcomeUnknown):
		l.why = oneLine(err)
	default:
		r.fail(ctx, l, oneLine(err))
	}
}

// fail counts a close that did not succeed, and protects again what is naked by it.
func (r *closing) fail(ctx context.Context, l *closingLeg, why string) {
	l.failures++
	l.why = why
	if len(l.stops) > 0 {
		r.protectAgain(ctx, l)
	}
}

// guardAgain protects again what this close-all has left naked when its time was over. The
// venue is read before, since the gate, which has seen the old stops, lets no second one
// through beside them, and since what they protected may be gone.
func (r *closing) guardAgain(ctx context.Context) {
	naked := func() (legs []*closingLeg) {
		for _, l := range r.legs {
			if len(l.stops) > 0 && !r.finished(l) {
				legs = append(legs, l)
			}
		}
		return legs
	}
	for range r.c.cfg.Confirm {
		if len(naked()) == 0 {
			return
		}
		_, ok := r.look(ctx)
		for _, l := range naked() {
			l.stops = slices.DeleteFunc(l.stops, r.isListed)
		}
		if ok && !slices.ContainsFunc(naked(), func(l *closingLeg) bool { return l.absent > 0 }) || !pause(ctx, r.c.cfg.RetryEvery) {
			break
		}
	}
	for _, l := range naked() {
		if l.absent == 0 {
			r.protectAgain(ctx, l)
		}
	}
}

// isListed says whether the last reading shows an order as live.
func (r *closing) isListed(o andon.Order) bool {
	return slices.ContainsFunc(r.orders, func(k *closingOrder) bool {
		return k.listed && k.ClientID == o.ClientID && k.VenueID == o.VenueID
	})
}

// protectAgain places the stops of a leg again that were cancelled to close it.
func (r *closing) protectAgain(ctx context.Context, l *closingLeg) {
	left := l.quantity.Abs()
	if l.in.Base != "" {
		if free, why := r.available(ctx, l, left); why == "" {
			left = free
		}
	}
	for len(l.stops) > 0 {
		o := l.stops[0]
		size, _ := closable(l.in, o.Remaining().Min(left), andon.Decimal{})
		if size.IsZero() {
			l.stops = l.stops[1:]
			continue
		}
		o.Quantity, o.Filled, o.VenueID, o.Status, o.ReduceOnly = size, andon.Decimal{}, "", 0, l.in.Base == ""
		if err := r.guard(ctx, l, o); err != nil {
			l.why += "; NOT PROTECTED: its stop could not be placed again: " + oneLine(err)
			return
		}
		left = left.Sub(size)
		l.stops = l.stops[1:]
	}
	if r.bare == l {
		r.bare = nil
	}
}

// guard places one stop under the next free id.
func (r *closing) guard(ctx context.Context, l *closingLeg, o andon.Order) error {
	for range closeTries {
		o.ClientID = numbered(l.guard, l.guards)
		found, err := r.venue.Lookup(ctx, o.Symbol, o.ClientID)
		switch {
		case errors.Is(err, andon.ErrOrderNotFound):
			_, err = r.sw.Submit(ctx, r.venue, o)
			return err
		case err != nil:
			return err
		case !found.Status.Done():
			return nil
		}
		l.guards++
	}
	return errors.New("too many stops came and went")
}

// account says what became of each leg and order.
func (r *closing) account() {
	left := func(format string, args ...any) { r.report.Left = append(r.report.Left, fmt.Sprintf(format, args...)) }
	slices.SortFunc(r.legs, func(a, b *closingLeg) int { return compareLegs(a.name, b.name) })
	for _, l := range r.legs {
		lr := CloseLegReport{Symbol: l.Symbol, Leg: l.Leg, Before: l.Quantity, Now: l.quantity, Closed: l.closed, Orders: l.ids}
		if l.absent > 0 {
			lr.Now = andon.Decimal{}
		}
		lr.Outcome, lr.Why = r.outcome(l)
		if lr.Outcome == "" {
			continue // it came after the plan, and has gone
		}
		switch lr.Outcome {
		case CloseDone, CloseDust, CloseKept:
		default:
			left("%v: %s", l.name, cmp.Or(lr.Why, string(lr.Outcome)))
		}
		r.report.moved = r.report.moved || lr.Outcome == CloseMoved || lr.Outcome == CloseForeign
		r.report.Legs = append(r.report.Legs, lr)
	}
	for _, o := range r.orders {
		switch {
		case o.gone:
			r.report.Canceled = append(r.report.Canceled, orderName(o.Order))
		case r.placeOf(o) == stays:
		default:
			left("order %s on %v may be live: %v %v %v", orderName(o.Order), o.Key(), o.Side, o.Remaining(), o.Kind)
		}
	}
	for _, id := range r.report.InFlight {
		left("order %s: its outcome is unknown: look it up by this client id", id)
	}
	if r.plan.Unread != "" {
		r.report.moved = true
		left("it could not be read when the plan was made (%s): plan again", r.plan.Unread)
	}
	for _, w := range r.wrong {
		left("%v: look at it by hand", w)
	}
	if !r.may {
		left("nothing was closed: the decision could not be recorded")
	}
}

func (r *closing) outcome(l *closingLeg) (CloseOutcome, string) {
	switch {
	case !r.read:
		return CloseUnknown, "the venue could not be read"
	case l.unsure:
		return CloseUnknown, "the last reading lacks it, and has a row that cannot be right"
	case !l.planned && l.absent > 0:
		return "", ""
	case !l.planned:
		return CloseForeign, fmt.Sprintf("%v is there and is not in the plan: plan again", l.quantity)
	case r.finished(l) && l.dust == "":
		return CloseDone, ""
	case l.dust != "" && l.Keep.Sign() > 0:
		return CloseKept, fmt.Sprintf("%v stays: the bot did not open it; the rest is dust: %s", l.Keep, l.dust)
	case l.dust != "":
		return CloseDust, l.dust
	case l.absent > 0:
		return CloseUnknown, "the last reading has no position, and it is not sure yet"
	case l.moved != "":
		return CloseMoved, l.moved + ": plan again"
	case l.Keep.Sign() > 0 && !l.Keep.Less(l.quantity.Abs()):
		return CloseKept, l.Why
	case l.Keep.Sign() > 0 && !l.closed.Less(l.Close):
		return CloseKept, l.Why
	}
	return CloseOpen, fmt.Sprintf("%v is left; %s", l.quantity, cmp.Or(l.why, l.CloseLeg.Why, "it was not closed in time"))
}
