package reconcile

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/andon-go/andon"
)

// repairExecution makes the book's fills of an order come to the venue's totals.
//
// The venue's word is on the order and not on its fills, so it has to be found which
// fill is wrong. In this order, the first that makes all totals exact is planned:
//
//  1. fills on another leg, side or fee currency than the order are corrected
//  2. where only the fee differs, it is booked on one fill
//  3. one fill has another quantity, its price and fee staying what they are
//  4. a fill is missing: it is inserted
//  5. one fill has another price, or several of its fields differ
//  6. all fills are replaced by the order's totals
//
// Where several fills would do, the one is taken that then lies nearest to the
// order's average price and fee rate; the reason in the plan says so.
func repairExecution(d Discrepancy) (Repair, error) {
	before := d.Book.Fills
	r := Repair{Edit: Edit{Key: d.Key, Fills: &Rows[andon.Fill]{Before: orEmpty(before)}}}
	var err error
	switch {
	case len(d.Venue.Reports) == 0 && d.Kind == Duplicate:
		return Repair{}, errors.New("the venue says nothing of this order: a person must say which row is right")
	case len(d.Venue.Reports) == 0:
		r.Action, r.Why, r.Edit.Fills.After = CloseOut, "the venue has no such order", []andon.Fill{}
	case d.Kind == Duplicate:
		r.Action, r.Why, r.Edit.Fills.After, err = resolveDuplicates(before, d.Venue.Reports[0])
	default:
		r.Action, r.Why, r.Edit.Fills.After, err = rightFills(distinct(before), d.Venue.Reports[0])
	}
	if err != nil {
		return Repair{}, err
	}
	sortFills(r.Edit.Fills.After)
	return r, nil
}

func distinct(rows []andon.Fill) []andon.Fill {
	var fills []andon.Fill
	for _, f := range rows {
		if !slices.ContainsFunc(fills, func(k andon.Fill) bool { return sameFill(k, f) }) {
			fills = append(fills, f)
		}
	}
	sortFills(fills)
	return fills
}

// maxChoices bounds how many ways of dropping duplicates are tried.
const maxChoices = 4096

// resolveDuplicates keeps of each id the one row with which the totals are right. If
// no choice does it, all fills are replaced.
func resolveDuplicates(rows []andon.Fill, r OrderReport) (Action, string, []andon.Fill, error) {
	choices := [][]andon.Fill{{}}
	for _, variants := range byID(distinct(rows)) {
		var next [][]andon.Fill
		for _, kept := range choices {
			for _, v := range variants {
				next = append(next, append(slices.Clone(kept), v))
			}
		}
		if choices = next; len(choices) > maxChoices {
			break
		}
	}
	if len(choices) <= maxChoices {
		for _, kept := range choices {
			if agrees(kept, r) {
				return Correct, "of rows with one id, the one is kept with which the order's totals are right", kept, nil
			}
		}
	}
	return rebook(r)
}

func byID(fills []andon.Fill) [][]andon.Fill {
	var groups [][]andon.Fill
	index := map[string]int{}
	for _, f := range fills {
		i, ok := index[f.ID]
		if !ok {
			i = len(groups)
			index[f.ID] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// agrees reports whether the fills come to the report, as CompareExecutions sees it.
func agrees(fills []andon.Fill, r OrderReport) bool {
	c, err := CompareExecutions(fills, []OrderReport{r}, Window{}, Rules{})
	return err == nil && c.Agreed == 1 && len(c.Discrepancies) == 0 && len(c.Unknown) == 0
}

func rightFills(fills []andon.Fill, r OrderReport) (Action, string, []andon.Fill, error) {
	if r.Filled.IsZero() {
		return CloseOut, "the venue says that nothing was filled", []andon.Fill{}, nil
	}
	fills, moved := alignFills(fills, r)
	gap, err := gapOf(fills, r)
	if err != nil {
		return 0, "", nil, err
	}
	switch {
	case gap.none():
		return Correct, fmt.Sprintf("%d fills are booked on another leg, side or fee currency than the order's", moved), fills, nil
	case gap.size.IsZero() && gap.value.IsZero():
		return gap.bookFee(fills, r)
	}
	if after, n := gap.correctOne(fills, r, true); n > 0 {
		return Correct, "one fill has another quantity" + among(n), after, nil
	}
	if after, ok := gap.insert(fills, r); ok {
		why := "the venue filled more than the book has"
		return InsertFill, why, after, nil
	}
	if after, n := gap.correctOne(fills, r, false); n > 0 {
		return Correct, "one fill does not fit the order's totals" + among(n), after, nil
	}
	return rebook(r)
}

func among(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(": of %d that could be meant, the one that fits price and fee of the order best", n)
}

// alignFills puts every fill on the order's leg, side and fee currency.
func alignFills(fills []andon.Fill, r OrderReport) (aligned []andon.Fill, moved int) {
	for _, f := range fills {
		was := f
		f.Symbol, f.Leg, f.Side = r.Symbol, r.Leg, r.Side
		if f.Fee.Sign() != 0 && r.FeeCurrency != "" {
			f.FeeCurrency = r.FeeCurrency
		}
		if f != was {
			moved++
		}
		aligned = append(aligned, f)
	}
	return aligned, moved
}

// gap is what the fills lack to the venue's totals; any of it may be negative.
type gap struct{ size, value, fee andon.Decimal }

func gapOf(fills []andon.Fill, r OrderReport) (gap, error) {
	g := gap{r.Filled, r.Value, r.Fee}
	for _, f := range fills {
		v, err := f.Value()
		if err != nil {
			return gap{}, fmt.Errorf("fill %q: value: %w", f.ID, err)
		}
		g.size, g.value, g.fee = g.size.Sub(f.Quantity), g.value.Sub(v), g.fee.Sub(f.Fee)
	}
	return g, nil
}

func (g gap) none() bool { return g.size.IsZero() && g.value.IsZero() && g.fee.IsZero() }

func (g gap) bookFee(fills []andon.Fill, r OrderReport) (Action, string, []andon.Fill, error) {
	i := nearest(fills, r, func(f andon.Fill) (andon.Fill, bool) {
		f.Fee = f.Fee.Add(g.fee)
		f.FeeCurrency = feeCurrency(f, r)
		return f, true
	})
	after := slices.Clone(fills)
	after[i.at] = i.fill
	return BookFee, fmt.Sprintf("the venue took %v %s more than is booked%s", g.fee, r.FeeCurrency, among(i.n)), after, nil
}

func feeCurrency(f andon.Fill, r OrderReport) string {
	if f.Fee.IsZero() {
		return f.FeeCurrency
	}
	return cmp.Or(r.FeeCurrency, f.FeeCurrency)
}

// correctOne changes one fill so that it fills the gap, and returns how many could
// have been meant. With quantityOnly, price and fee must stay what they are; and since
// a missing fill would bring its fee, a gap without a fee in an order that cost one is
// a quantity.
func (g gap) correctOne(fills []andon.Fill, r OrderReport, quantityOnly bool) ([]andon.Fill, int) {
	if quantityOnly && (!g.fee.IsZero() || r.Fee.IsZero() && g.size.Sign() > 0) {
		return nil, 0
	}
	best := nearest(fills, r, func(f andon.Fill) (andon.Fill, bool) {
		v, err := f.Value()
		if err != nil {
			return f, false
		}
		price := f.Price
		f.Quantity = f.Quantity.Add(g.size)
		f.Fee = f.Fee.Add(g.fee)
		f.FeeCurrency = feeCurrency(f, r)
		if f.Quantity.Sign() <= 0 || v.Add(g.value).Sign() <= 0 {
			return f, false
		}
		f.Price, err = v.Add(g.value).Quo(f.Quantity, andon.MaxDecimals, andon.Exact)
		return f, err == nil && (!quantityOnly || f.Price.Equal(price))
	})
	if best.n == 0 {
		return nil, 0
	}
	after := slices.Clone(fills)
	after[best.at] = best.fill
	return after, best.n
}

func (g gap) insert(fills []andon.Fill, r OrderReport) ([]andon.Fill, bool) {
	if g.size.Sign() <= 0 || g.value.Sign() <= 0 {
		return nil, false
	}
	missing, err := fillsFor(r, g)
	if err != nil {
		return nil, false
	}
	after := slices.Clone(fills)
	for _, m := range missing {
		for n := 2; slices.ContainsFunc(after, func(f andon.Fill) bool { return f.ID == m.ID }); n++ {
			m.ID = derivedID(m, n) // one just like it was inserted before
		}
		after = append(after, m)
	}
	return after, true
}

// choice is the fill that a correction takes.
type choice struct {
	at   int
	fill andon.Fill
	n    int // how many could have been taken
}

// nearest tries a change on each fill and takes the one that, once changed, lies
// nearest to the order's average price, then to its fee rate, then the one with the
// first id.
func nearest(fills []andon.Fill, r OrderReport, change func(andon.Fill) (andon.Fill, bool)) choice {
	var best choice
	for i, f := range fills {
		changed, ok := change(f)
		if !ok {
			continue
		}
		best.n++
		if best.n == 1 || closer(changed, best.fill, r) {
			best.at, best.fill = i, changed
		}
	}
	return best
}

func closer(a, b andon.Fill, r OrderReport) bool {
	return cmp.Or(
		distance(a.Price, ratio(r.Value, r.Filled)).Cmp(distance(b.Price, ratio(r.Value, r.Filled))),
		distance(feeRate(a), ratio(r.Fee, r.Value)).Cmp(distance(feeRate(b), ratio(r.Fee, r.Value))),
		strings.Compare(a.ID, b.ID),
	) < 0
}

func distance(a, b andon.Decimal) andon.Decimal { return a.Sub(b).Abs() }

func feeRate(f andon.Fill) andon.Decimal {
	v, err := f.Value()
	if err != nil {
		return andon.Decimal{}
	}
	return ratio(f.Fee, v)
}

// ratio is only for choosing between rows, never for an amount: it is rounded, and
// zero where it does not exist.
func ratio(a, b andon.Decimal) andon.Decimal {
	q, err := a.Quo(b, 12, andon.HalfEven)
	if err != nil {
		return andon.Decimal{}
	}
	return q
}

func rebook(r OrderReport) (Action, string, []andon.Fill, error) {
	fills, err := fillsFor(r, gap{r.Filled, r.Value, r.Fee})
	if err != nil {
		return 0, "", nil, err
	}
	return Rebook, "no change of single rows gives the order's totals", fills, nil
}

// lotPlaces is how many digits after the point the prices of two lots have.
const lotPlaces = 8

// fillsFor returns fills that come to the size, value and fee of the gap exactly: one
// where the average price is exact, else two whose prices lie one step of lotPlaces
// apart. Their ids are made from their content, so that a second run makes the same.
func fillsFor(r OrderReport, g gap) ([]andon.Fill, error) {
	price, err := g.value.Quo(g.size, andon.MaxDecimals, andon.Exact)
	if err == nil {
		return []andon.Fill{derivedFill(r, g.size, price, g.fee)}, nil
	}
	low, err := g.value.Quo(g.size, lotPlaces, andon.Down)
	if err != nil {
		return nil, fmt.Errorf("average price: %w", err)
	}
	lowValue, err := low.Mul(g.size)
	if err != nil {
		return nil, fmt.Errorf("value at %v: %w", low, err)
	}
	// size×low falls short of the value by less than one step on the whole size, so
	// that many units, and no more, were one step dearer.
	step := andon.NewDecimal(1, lotPlaces)
	dearer, err := g.value.Sub(lowValue).Quo(step, andon.MaxDecimals, andon.Exact)
	if err != nil || low.Sign() <= 0 {
		return nil, fmt.Errorf("a value of %v for %v has no exact price", g.value, g.size)
	}
	return []andon.Fill{
		derivedFill(r, g.size.Sub(dearer), low, g.fee),
		derivedFill(r, dearer, low.Add(step), andon.Decimal{}),
	}, nil
}

func derivedFill(r OrderReport, size, price, fee andon.Decimal) andon.Fill {
	f := andon.Fill{
		OrderID: r.ID, ClientID: r.ClientID, Venue: r.Venue, Symbol: r.Symbol, Leg: r.Leg, Side: r.Side,
		Quantity: size, Price: price, Fee: fee, FeeCurrency: r.FeeCurrency, At: r.At,
	}
	f.ID = derivedID(f, 1)
	return f
}

// derivedID makes the id of the nth fill with this content.
func derivedID(f andon.Fill, n int) string {
	f.ID = ""
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", rowText(f), n))
	return "andon-" + hex.EncodeToString(sum[:16])
}
