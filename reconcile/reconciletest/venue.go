package reconciletest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/andon-go/andon"
)

// VenueCase says how a venue is put through TestVenue.
type VenueCase struct {
	// Venue is the venue under test, without a position or a live order on Symbol.
	// Required.
	Venue andon.Venue

	// Name is what the venue's rows carry as their venue. Required.
	Name string

	// Symbol is what is traded, on the net leg, in one-way mode. Required.
	Symbol string

	// Quantity is a size that the venue takes. Required.
	Quantity andon.Decimal

	// Below is a price so far under the market that a bid there rests and a stop that
	// sells there is not reached. Required.
	Below andon.Decimal

	// Stop is the kind of the conditional order that is tried. Defaults to
	// andon.StopMarket; andon.StopLimit is for venues that have no other.
	Stop andon.Kind

	// LoseAnswer makes the next submit take effect and answer
	// andon.ErrOutcomeUnknown. Defaults to none: that part is skipped.
	LoseAnswer func()

	// SetDown makes the venue unreachable, or reachable again. Defaults to none: that
	// part is skipped.
	SetDown func(down bool)

	// Crowd is how many orders are live at once where pages are tried: more than the
	// venue, or the server that stands for it, puts on one page. Defaults to 5.
	Crowd int

	// BreakList makes the next list of orders break off: a page of it, or one of the two
	// lists, is not answered, or not whole. Defaults to none: that part is skipped.
	BreakList func()

	// Wait lets time pass for what the venue does by itself, such as filling a market
	// order or carrying out a cancel. Defaults to sleeping for 10 ms.
	Wait func()

	// Patience is how often Wait is called before the suite gives up. Defaults to 500.
	Patience int
}

// TestVenue checks the rules of andon.Venue that reconciliation and the stop rely
// on. Each subtest opens a venue of its own.
func TestVenue(t *testing.T, open func(t *testing.T) VenueCase) {
	for _, test := range venueTests {
		t.Run(test.name, func(t *testing.T) {
			c := open(t)
			if c.Wait == nil {
				c.Wait = func() { time.Sleep(10 * time.Millisecond) }
			}
			if c.Patience == 0 {
				c.Patience = 500
			}
			if c.Stop == 0 {
				c.Stop = andon.StopMarket
			}
			if c.Crowd == 0 {
				c.Crowd = 5
			}
			test.run(&venueTest{T: t, VenueCase: c})
		})
	}
}

var venueTests = []struct {
	name string
	run  func(*venueTest)
}{
	{"an order nobody sent is not found", (*venueTest).notFound},
	{"a resting order is listed, found and cancelled", (*venueTest).resting},
	{"a conditional order is listed, found and cancelled", (*venueTest).conditional},
	{"a list is read to its last page", (*venueTest).pages},
	{"a list that breaks off is an error, never a shorter list", (*venueTest).brokenList},
	{"a market order moves the position by what it filled", (*venueTest).market},
	{"a client id is used once", (*venueTest).sameID},
	{"reduce-only opens nothing from flat", (*venueTest).reduceOnly},
	{"an order that cannot be right is refused", (*venueTest).invalid},
	{"an order whose answer was lost is found by its id", (*venueTest).lostAnswer},
	{"a venue out of reach says nothing, not nothing held", (*venueTest).unreachable},
	{"a context that has ended is an error", (*venueTest).ended},
}

type venueTest struct {
	*testing.T
	VenueCase
}

func (v *venueTest) order(id string, change func(*andon.Order)) andon.Order {
	o := andon.Order{
		ClientID: id, Venue: v.Name, Symbol: v.Symbol, Side: andon.Buy, Kind: andon.Limit,
		Quantity: v.Quantity, Price: v.Below,
	}
	if change != nil {
		change(&o)
	}
	return o
}

func market(o *andon.Order) { o.Kind, o.Price = andon.Market, andon.Decimal{} }

func (v *venueTest) stop(o *andon.Order) {
	o.Side, o.Kind, o.Trigger = andon.Sell, v.Stop, v.Below
	if !o.Kind.Priced() {
		o.Price = andon.Decimal{}
	}
}

func (v *venueTest) submit(o andon.Order) andon.Order {
	v.Helper()
	got, err := v.Venue.Submit(v.Context(), o)
	if err != nil {
		v.Fatalf("Submit %v %v: %v", o.Kind, o.ClientID, err)
	}
	if got.ClientID != o.ClientID || got.Symbol != o.Symbol || got.Venue != v.Name || got.Side != o.Side {
		v.Errorf("Submit gave back another order: sent %+v, got %+v", o, got)
	}
	return got
}

// live returns the live order with this id, and how many the venue lists.
func (v *venueTest) live(id string) (andon.Order, int) {
	v.Helper()
	orders, err := v.Venue.Orders(v.Context())
	if err != nil {
		v.Fatalf("Orders: %v", err)
	}
	var found andon.Order
	n := 0
	for _, o := range orders {
		if o.Status.Done() {
			v.Errorf("Orders lists %s, which is %v: it is for live orders", o.ClientID, o.Status)
		}
		if o.ClientID == id {
			found = o
			n++
		}
	}
	return found, n
}

func (v *venueTest) held() andon.Decimal {
	v.Helper()
	positions, err := v.Venue.Positions(v.Context())
	if err != nil {
		v.Fatalf("Positions: %v", err)
	}
	sum := andon.Decimal{}
	for _, p := range positions {
		if err := p.Validate(); err != nil {
			v.Errorf("Positions: %v", err)
		}
		if p.Venue != v.Name {
			v.Errorf("a position carries venue %q, want %q", p.Venue, v.Name)
		}
		if p.Symbol == v.Symbol {
			sum = sum.Add(p.Quantity)
		}
	}
	return sum
}

// lookup waits until the order is as wanted, since venues answer before they have
// done a thing.
func (v *venueTest) lookup(id string, want func(andon.Order) bool) andon.Order {
	v.Helper()
	var o andon.Order
	var err error
	for range v.Patience {
		if o, err = v.Venue.Lookup(v.Context(), v.Symbol, id); err == nil && want(o) {
			return o
		}
		v.Wait()
	}
	v.Fatalf("Lookup of %s still gives %+v, %v", id, o, err)
	return o
}

func isLive(o andon.Order) bool { return o.Status == andon.Live }
func isDone(o andon.Order) bool { return o.Status.Done() }

func (v *venueTest) notFound() {
	if o, err := v.Venue.Lookup(v.Context(), v.Symbol, "nobody"); !errors.Is(err, andon.ErrOrderNotFound) {
		v.Errorf("Lookup of an order nobody sent: %+v, %v, want ErrOrderNotFound", o, err)
	}
	err := v.Venue.Cancel(v.Context(), v.order("nobody", nil))
	if !errors.Is(err, andon.ErrOrderNotFound) && !errors.Is(err, andon.ErrOutcomeUnknown) {
		v.Errorf("Cancel of an order nobody sent: %v, want ErrOrderNotFound", err)
	}
}

func (v *venueTest) resting() { v.restAndCancel(v.order("rest-1", nil)) }

func (v *venueTest) conditional() { v.restAndCancel(v.order("stop-1", v.stop)) }

func (v *venueTest) restAndCancel(o andon.Order) {
	v.submit(o)
	v.lookup(o.ClientID, isLive)
	listed, n := v.live(o.ClientID)
	if n != 1 {
		v.Fatalf("Orders lists %s %d times, want once: what a list leaves out survives a close-all", o.ClientID, n)
	}
	if listed.Kind != o.Kind || listed.Side != o.Side || !listed.Quantity.Equal(o.Quantity) ||
		!listed.Price.Equal(o.Price) || !listed.Trigger.Equal(o.Trigger) || listed.Venue != v.Name {
		v.Errorf("Orders lists another order: sent %+v, listed %+v", o, listed)
	}
	if err := v.Venue.Cancel(v.Context(), listed); err != nil {
		v.Fatalf("Cancel: %v", err)
	}
	done := v.lookup(o.ClientID, isDone)
	if done.Status != andon.Canceled || !done.Filled.IsZero() {
		v.Errorf("after Cancel the order is %v with %v filled, want canceled with 0", done.Status, done.Filled)
	}
	if _, n := v.live(o.ClientID); n != 0 {
		v.Error("Orders lists an order that was cancelled")
	}
}

// crowd puts Crowd orders on the venue, a conditional one among them, and returns their
// ids once they are live.
func (v *venueTest) crowd() []string {
	v.Helper()
	var ids []string
	for i := range v.Crowd {
		o := v.order(fmt.Sprintf("crowd-%d", i+1), nil)
		if i == v.Crowd-1 {
			v.stop(&o)
		}
		v.submit(o)
		ids = append(ids, o.ClientID)
	}
	for _, id := range ids {
		v.lookup(id, isLive)
	}
	return ids
}

// absent returns those of the ids that a list has not.
func absent(ids []string, orders []andon.Order) []string {
	var left []string
	for _, id := range ids {
		if !slices.ContainsFunc(orders, func(o andon.Order) bool { return o.ClientID == id }) {
			left = append(left, id)
		}
	}
	return left
}

func (v *venueTest) pages() {
	ids := v.crowd()
	orders, err := v.Venue.Orders(v.Context())
	if err != nil {
		v.Fatalf("Orders: %v", err)
	}
	if left := absent(ids, orders); len(left) > 0 {
		v.Errorf("Orders leaves out %v of %d live orders: a list in pages is complete or an error", left, len(ids))
	}
	for _, o := range orders {
		if err := v.Venue.Cancel(v.Context(), o); err != nil && !errors.Is(err, andon.ErrOrderNotFound) {
			v.Errorf("Cancel of %s as it was listed: %v", o.ClientID, err)
		}
	}
	for _, id := range ids {
		v.lookup(id, isDone)
	}
	if orders, err = v.Venue.Orders(v.Context()); err != nil || len(orders) > 0 {
		v.Errorf("Orders after all were cancelled: %d, %v", len(orders), err)
	}
}

func (v *venueTest) brokenList() {
	if v.BreakList == nil {
		v.Skip("VenueCase.BreakList is missing: a list that breaks off was not tried")
	}
	ids := v.crowd()
	v.BreakList()
	orders, err := v.Venue.Orders(v.Context())
	if err != nil {
		return
	}
	if left := absent(ids, orders); len(left) > 0 { // it may have asked again
		v.Errorf("Orders gave %d rows without %v and no error, when the list broke off: what it left out survives a close-all",
			len(orders), left)
	}
}

func (v *venueTest) market() {
	v.submit(v.order("in-1", market))
	in := v.lookup("in-1", isDone)
	if in.Status != andon.Filled || !in.Filled.Equal(v.Quantity) {
		v.Fatalf("a market order ended as %v with %v of %v", in.Status, in.Filled, v.Quantity)
	}
	if held := v.held(); !held.Equal(in.Filled) {
		v.Errorf("bought %v, position is %v: quantities are signed and exact", in.Filled, held)
	}
	v.submit(v.order("out-1", func(o *andon.Order) {
		market(o)
		o.Side, o.ReduceOnly = andon.Sell, true
	}))
	out := v.lookup("out-1", isDone)
	if held := v.held(); !held.Equal(in.Filled.Sub(out.Filled)) {
		v.Errorf("bought %v and sold %v, position is %v", in.Filled, out.Filled, held)
	}
}

func (v *venueTest) sameID() {
	o := v.order("same-1", nil)
	v.submit(o)
	v.lookup(o.ClientID, isLive)
	if _, err := v.Venue.Submit(v.Context(), o); err != nil && !errors.Is(err, andon.ErrRejected) {
		v.Errorf("Submit with a used client id: %v, want a rejection or the order that is there", err)
	}
	if _, n := v.live(o.ClientID); n != 1 {
		v.Errorf("%d live orders with one client id: after a lost answer a retry would double the order", n)
	}
}

func (v *venueTest) reduceOnly() {
	o := v.order("reduce-1", func(o *andon.Order) {
		market(o)
		o.Side, o.ReduceOnly = andon.Sell, true
	})
	if _, err := v.Venue.Submit(v.Context(), o); err != nil && !errors.Is(err, andon.ErrRejected) && !errors.Is(err, andon.ErrOutcomeUnknown) {
		v.Errorf("Submit of a reduce-only order from flat: %v, want a rejection, an unknown outcome or nothing filled", err)
	} else if err == nil {
		v.lookup(o.ClientID, isDone)
	}
	if held := v.held(); !held.IsZero() {
		v.Errorf("a reduce-only order from flat opened %v", held)
	}
}

func (v *venueTest) invalid() {
	for name, change := range map[string]func(*andon.Order){
		"no quantity": func(o *andon.Order) { o.Quantity = andon.Decimal{} },
		"no side":     func(o *andon.Order) { o.Side = 0 },
		"no kind":     func(o *andon.Order) { o.Kind = 0 },
		"no price":    func(o *andon.Order) { o.Price = andon.Decimal{} },
	} {
		if _, err := v.Venue.Submit(v.Context(), v.order("invalid-1", change)); err == nil {
			v.Errorf("%s: Submit took an order that cannot be right", name)
		}
	}
	if _, n := v.live("invalid-1"); n != 0 {
		v.Errorf("%d orders live that were refused", n)
	}
}

func (v *venueTest) lostAnswer() {
	if v.LoseAnswer == nil {
		v.Skip("VenueCase.LoseAnswer is missing: an ambiguous outcome was not tried")
	}
	v.LoseAnswer()
	o := v.order("lost-1", nil)
	if _, err := v.Venue.Submit(v.Context(), o); !errors.Is(err, andon.ErrOutcomeUnknown) {
		v.Fatalf("Submit without an answer: %v, want ErrOutcomeUnknown: a timeout is not a rejection", err)
	} else if errors.Is(err, andon.ErrRejected) || errors.Is(err, andon.ErrOrderNotFound) {
		v.Errorf("Submit without an answer is both unknown and certain: %v", err)
	}
	v.lookup(o.ClientID, isLive)
	if _, n := v.live(o.ClientID); n != 1 {
		v.Errorf("%d live orders after one submit without an answer", n)
	}
}

func (v *venueTest) unreachable() {
	if v.SetDown == nil {
		v.Skip("VenueCase.SetDown is missing: a venue out of reach was not tried")
	}
	v.submit(v.order("before-1", nil))
	v.lookup("before-1", isLive)
	v.SetDown(true)
	if p, err := v.Venue.Positions(v.Context()); err == nil {
		v.Errorf("Positions of a venue out of reach: %d rows and no error: that reads as flat", len(p))
	}
	if o, err := v.Venue.Orders(v.Context()); err == nil {
		v.Errorf("Orders of a venue out of reach: %d rows and no error", len(o))
	}
	if b, err := v.Venue.Balances(v.Context()); err == nil {
		v.Errorf("Balances of a venue out of reach: %d rows and no error", len(b))
	}
	if _, err := v.Venue.Lookup(v.Context(), v.Symbol, "before-1"); err == nil || errors.Is(err, andon.ErrOrderNotFound) {
		v.Errorf("Lookup at a venue out of reach: %v: it cannot know", err)
	}
	_, err := v.Venue.Submit(v.Context(), v.order("during-1", nil))
	if err == nil || errors.Is(err, andon.ErrRejected) {
		v.Errorf("Submit to a venue out of reach: %v: it was neither taken nor rejected", err)
	}
	v.SetDown(false)
	v.lookup("before-1", isLive)
}

func (v *venueTest) ended() {
	ctx, cancel := context.WithCancel(v.Context())
	cancel()
	if _, err := v.Venue.Positions(ctx); err == nil {
		v.Error("Positions with an ended context gave no error")
	}
	if _, err := v.Venue.Orders(ctx); err == nil {
		v.Error("Orders with an ended context gave no error")
	}
	if _, err := v.Venue.Lookup(ctx, v.Symbol, "x"); err == nil || errors.Is(err, andon.ErrOrderNotFound) {
		v.Errorf("Lookup with an ended context: %v: it cannot know", err)
	}
	if _, err := v.Venue.Submit(ctx, v.order("ended-1", nil)); err == nil || errors.Is(err, andon.ErrRejected) {
		v.Errorf("Submit with an ended context: %v", err)
	}
}
