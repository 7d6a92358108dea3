package andontest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/andon-go/andon"
)

// Venue is an exchange account in memory. Make one with New. It is safe for concurrent
// use; which call meets which fault is then the scheduler's choice.
type Venue struct {
	cfg Config

	mu        sync.Mutex
	rng       *rand.Rand
	faults    Faults
	inject    map[Fault]int
	counts    map[Fault]int
	lies      map[Op]int // in a row
	asked     map[Op]bool
	down      error
	prices    map[string]andon.Decimal
	positions map[andon.LegKey]andon.Position // none on spot: there they are balances
	balances  map[string]andon.Decimal
	orders    []*record
	fills     []andon.Fill
	calls     []Call
	late      []event
	next      int // of the venue's ids
	earlier   struct {
		positions []andon.Position
		orders    []andon.Order
		balances  []andon.Balance
	}
}

var _ andon.Venue = (*Venue)(nil)

// record is one order that the venue took, and what it said of it before.
type record struct {
	andon.Order
	before    []andon.Order
	triggered bool
	born      int // the number of the call that brought it
}

// event happens with the call of a number.
type event struct {
	call int
	do   func()
}

// Call is one call that reached the venue.
type Call struct {
	At    time.Time // when it came, by time.Now
	Op    Op
	Order andon.Order // of Submit and Cancel; of Lookup its symbol and client id alone
	Fault Fault       // what it met
	Err   error       // the answer's

	// Adds says of a Submit that the venue took it, or will, and that it could make its
	// leg larger, open one, or turn it over.
	Adds bool
}

// Truth is what is really there, whatever the answers say.
type Truth struct {
	Positions []andon.Position // every leg that is not flat
	Orders    []andon.Order    // every live order
	Done      []andon.Order    // every order that is done
	Fills     []andon.Fill     // every execution, from the oldest
}

// New returns a venue that holds nothing but Config.Balances.
func New(cfg Config) *Venue {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		panic("andontest: configuration: " + err.Error())
	}
	v := &Venue{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x616e646f6e)), faults: maps.Clone(cfg.Faults),
		inject: map[Fault]int{}, counts: map[Fault]int{}, lies: map[Op]int{}, asked: map[Op]bool{},
		prices: map[string]andon.Decimal{}, positions: map[andon.LegKey]andon.Position{},
		balances: map[string]andon.Decimal{},
	}
	maps.Copy(v.balances, cfg.Balances)
	return v
}

// Name returns what rows carry as their venue.
func (v *Venue) Name() string { return v.cfg.Name }

// SetPosition makes the venue hold p, as if it had always been there; a quantity of
// zero takes the leg away. On spot it sets the balance of the base currency. A mark of
// zero is filled in.
func (v *Venue) SetPosition(p andon.Position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p.Venue = v.cfg.Name
	if v.cfg.Spot {
		v.balances[v.cfg.Symbols[p.Symbol].Base] = p.Quantity
		return
	}
	if p.Mark.IsZero() {
		p.Mark = v.price(p.Symbol)
	}
	v.hold(p)
}

func (v *Venue) hold(p andon.Position) {
	v.positions[p.Key()] = p
	if p.Quantity.IsZero() {
		delete(v.positions, p.Key())
	}
}

// SetOrder puts a live order on the venue, as if it had always been there; it meets no
// rule and no fault.
func (v *Venue) SetOrder(o andon.Order) {
	v.mu.Lock()
	defer v.mu.Unlock()
	o.Venue, o.Status, o.At = v.cfg.Name, andon.Live, v.now()
	v.next++
	o.VenueID = cmp.Or(o.VenueID, fmt.Sprintf("%s-%d", v.cfg.Name, v.next))
	v.orders = append(v.orders, &record{Order: o})
}

// Truth returns what is really there.
func (v *Venue) Truth() Truth {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := Truth{Positions: v.held(), Orders: v.live(), Fills: slices.Clone(v.fills)}
	for _, r := range v.orders {
		if r.Status.Done() {
			t.Done = append(t.Done, r.Order)
		}
	}
	return t
}

// Calls returns every call so far, from the oldest.
func (v *Venue) Calls() []Call {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.calls)
}

// Positions implements andon.Account.
func (v *Venue) Positions(ctx context.Context) ([]andon.Position, error) {
	return ask(ctx, v, OpPositions, v.held, &v.earlier.positions, func(p *andon.Position) { p.Venue = "" })
}

// Orders implements andon.Account: first the orders that trade, then the conditional
// ones.
func (v *Venue) Orders(ctx context.Context) ([]andon.Order, error) {
	return ask(ctx, v, OpOrders, v.live, &v.earlier.orders, func(o *andon.Order) { o.Venue, o.Quantity = "", andon.Decimal{} })
}

// Balances implements andon.Account.
func (v *Venue) Balances(ctx context.Context) ([]andon.Balance, error) {
	return ask(ctx, v, OpBalances, v.money, &v.earlier.balances, func(*andon.Balance) {})
}

// ask answers a query for a list.
func ask[T any](ctx context.Context, v *Venue, op Op, list func() []T, earlier *[]T, spoil func(*T)) ([]T, error) {
	c, done, err := v.begin(ctx, op, andon.Order{})
	defer func() { done() }()
	if err != nil {
		return nil, err
	}
	rows := list()
	was := *earlier
	*earlier = slices.Clone(rows)
	lied := false
	strike := func(f Fault, when bool, change func()) {
		if c.fault == f && when {
			change()
			c.strike()
			lied = f.lies()
		}
	}
	strike(DuplicateAnswer, len(rows) > 0, func() { rows = slices.Concat(rows, rows) })
	strike(EmptyList, len(rows) > 0, func() { rows = nil })
	strike(PartialList, len(rows) > 1, func() {
		rows = slices.Delete(rows, v.rng.IntN(len(rows)), len(rows))
	})
	strike(WrongList, len(rows) > 0, func() { spoil(&rows[v.rng.IntN(len(rows))]) })
	strike(StaleRead, v.asked[op], func() { rows = slices.Clone(was) })
	v.asked[op] = true
	if orders, ok := any(rows).([]andon.Order); ok {
		conditional := func(o andon.Order) bool { return o.Kind.Conditional() }
		strike(HiddenList, slices.ContainsFunc(orders, conditional), func() {
			rows = any(slices.DeleteFunc(orders, conditional)).([]T)
		})
	}
	v.lies[op]++
	if !lied {
		v.lies[op] = 0
	}
	return rows, nil
}

// Submit implements andon.Trader.
func (v *Venue) Submit(ctx context.Context, o andon.Order) (andon.Order, error) {
	c, done, err := v.begin(ctx, OpSubmit, o)
	defer func() { done() }()
	if err != nil {
		return andon.Order{}, err
	}
	return c.submit(o)
}

// Cancel implements andon.Trader. It finds the order by its client id, or else by the
// venue's.
func (v *Venue) Cancel(ctx context.Context, o andon.Order) error {
	c, done, err := v.begin(ctx, OpCancel, o)
	defer func() { done() }()
	if err != nil {
		return err
	}
	return c.fail(c.cancel(o))
}

// Lookup implements andon.Trader.
func (v *Venue) Lookup(ctx context.Context, symbol, clientID string) (andon.Order, error) {
	c, done, err := v.begin(ctx, OpLookup, andon.Order{Symbol: symbol, ClientID: clientID})
	defer func() { done() }()
	if err != nil {
		return andon.Order{}, err
	}
	r := v.find(symbol, clientID, "")
	if r == nil {
		return andon.Order{}, c.fail(fmt.Errorf("look up %s: %w", clientID, andon.ErrOrderNotFound))
	}
	known := len(r.before) > 0
	if c.fault != StaleRead || !known && len(v.calls)-r.born >= newOrder {
		v.lies[OpLookup] = 0
		return r.Order, nil
	}
	c.strike()
	v.lies[OpLookup]++
	if known {
		return r.before[len(r.before)-1], nil
	}
	return andon.Order{}, c.fail(fmt.Errorf("look up %s: %w", clientID, andon.ErrOrderNotFound))
}

// newOrder is for how many calls an order is so new that a look-up may miss it.
const newOrder = 4

// call is one call under way.
type call struct {
	v     *Venue
	n     int // index in v.calls
	fault Fault
}

func (c *call) fail(err error) error { c.v.calls[c.n].Err = err; return err }

// strike counts the fault that this call met.
func (c *call) strike() {
	c.v.struck(c.fault)
	c.v.calls[c.n].Fault = c.fault
}

// begin lets happen what comes with this call, and meets the faults that every call
// can meet. The lock is held until done is called.
func (v *Venue) begin(ctx context.Context, op Op, o andon.Order) (c *call, done func(), err error) {
	v.mu.Lock()
	done = v.mu.Unlock
	v.calls = append(v.calls, Call{At: time.Now(), Op: op, Order: o})
	c = &call{v: v, n: len(v.calls) - 1}
	if err := ctx.Err(); err != nil {
		return nil, done, c.fail(c.unknown(op, err))
	}
	v.happen()
	if v.down != nil {
		return nil, done, c.fail(c.unknown(op, v.down))
	}
	c.fault = v.draw(op)
	switch c.fault {
	case TimeoutLost:
		c.strike()
		return nil, done, c.fail(c.unknown(op, ErrNoAnswer))
	case RateLimited:
		c.strike()
		return nil, done, c.fail(&RateLimitError{Wait: time.Duration(1+v.rng.IntN(3)) * time.Second})
	case Liquidation:
		if v.liquidate() {
			c.strike()
		}
	case Hang:
		c.strike()
		v.mu.Unlock()
		<-ctx.Done()
		v.mu.Lock()
		return nil, done, c.fail(c.unknown(op, ctx.Err()))
	}
	return c, done, nil
}

// unknown is the error of a call without an answer.
func (c *call) unknown(op Op, err error) error {
	if op == OpSubmit || op == OpCancel {
		return fmt.Errorf("%s: %w: %w", op, andon.ErrOutcomeUnknown, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// happen lets everything happen that was to come with a later call.
func (v *Venue) happen() {
	due := v.late
	v.late = nil
	for _, e := range due {
		if e.call > len(v.calls) {
			v.late = append(v.late, e)
			continue
		}
		e.do()
	}
	v.trade()
}

// later lets something happen with one of the next calls.
func (v *Venue) later(do func()) {
	v.late = append(v.late, event{len(v.calls) + 1 + v.rng.IntN(3), do})
}

func (v *Venue) now() time.Time {
	if v.cfg.Now.IsZero() {
		return time.Now()
	}
	return v.cfg.Now
}

// held returns every leg that is not flat, ordered by name.
func (v *Venue) held() []andon.Position {
	var all []andon.Position
	if v.cfg.Spot {
		for _, symbol := range slices.Sorted(maps.Keys(v.cfg.Symbols)) {
			q := v.balances[v.cfg.Symbols[symbol].Base]
			if !q.IsZero() {
				all = append(all, andon.Position{Venue: v.cfg.Name, Symbol: symbol, Quantity: q, Mark: v.price(symbol), At: v.now()})
			}
		}
		return all
	}
	for _, k := range v.legs() {
		all = append(all, v.positions[k])
	}
	return all
}

func (v *Venue) legs() []andon.LegKey {
	return slices.SortedFunc(maps.Keys(v.positions), func(a, b andon.LegKey) int {
		return cmp.Or(cmp.Compare(a.Symbol, b.Symbol), cmp.Compare(a.Leg, b.Leg))
	})
}

// live returns both lists of live orders, the conditional ones last.
func (v *Venue) live() []andon.Order {
	var plain, conditional []andon.Order
	for _, r := range v.orders {
		switch {
		case r.Status.Done():
		case r.Kind.Conditional():
			conditional = append(conditional, r.Order)
		default:
			plain = append(plain, r.Order)
		}
	}
	return slices.Concat(plain, conditional)
}

// money returns every balance, ordered by currency.
func (v *Venue) money() []andon.Balance {
	var all []andon.Balance
	for _, currency := range slices.Sorted(maps.Keys(v.balances)) {
		all = append(all, andon.Balance{
			Venue: v.cfg.Name, Currency: currency, Total: v.balances[currency], Reserved: v.reserved(currency),
		})
	}
	return all
}

// find returns an order by its client id, or where it has none by the venue's id.
func (v *Venue) find(symbol, clientID, venueID string) *record {
	for _, r := range v.orders {
		if r.Symbol == symbol && (clientID != "" && r.ClientID == clientID || clientID == "" && r.VenueID == venueID) {
			return r
		}
	}
	return nil
}

// set changes what the venue says of an order.
func (v *Venue) set(r *record, change func(o *andon.Order)) {
	r.before = append(r.before, r.Order)
	change(&r.Order)
	r.At = v.now()
}

// submit takes an order in, unless a fault or a rule stands in the way.
func (c *call) submit(o andon.Order) (andon.Order, error) {
	v := c.v
	unanswered := func() (andon.Order, error) {
		c.strike()
		return andon.Order{}, c.fail(c.unknown(OpSubmit, ErrNoAnswer))
	}
	reject := func(reason string) (andon.Order, error) {
		return andon.Order{}, c.fail(&andon.RejectedError{Order: o, Reason: reason})
	}
	adds := v.adds(o)
	switch c.fault {
	case Late:
		v.calls[c.n].Adds = adds
		v.later(func() {
			if v.refusal(o) == "" {
				v.take(o, false)
			}
		})
		return unanswered()
	case Refused:
		c.strike()
		return reject("the venue is overloaded")
	}
	if why := v.refusal(o); why != "" {
		return reject(why)
	}
	part := c.fault == PartialFill && v.trades(o) && v.half(o).Less(o.Quantity)
	r := v.take(o, part)
	v.calls[c.n].Adds = adds
	switch c.fault {
	case TimeoutTaken:
		return unanswered()
	case DuplicateAnswer: // the second delivery finds the order there
		c.strike()
	case PartialFill:
		if part {
			c.strike()
		}
	}
	return r.Order, nil
}

func (c *call) cancel(o andon.Order) error {
	v := c.v
	r := v.find(o.Symbol, o.ClientID, o.VenueID)
	if r == nil || r.Status.Done() {
		return fmt.Errorf("cancel %s: %w", cmp.Or(o.ClientID, o.VenueID), andon.ErrOrderNotFound)
	}
	drop := func() {
		if !r.Status.Done() {
			v.set(r, func(o *andon.Order) { o.Status = andon.Canceled })
		}
	}
	switch c.fault {
	case Late:
		c.strike()
		v.later(drop)
		return nil
	case TimeoutTaken:
		drop()
		c.strike()
		return c.unknown(OpCancel, ErrNoAnswer)
	}
	drop()
	return nil
}
