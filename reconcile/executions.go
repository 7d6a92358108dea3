package reconcile

import (
	"fmt"
	"slices"

	"github.com/andon-go/andon"
)

// CompareExecutions compares, order by order, the fills in the book with the venue's
// totals: symbol and leg, side, size, executed value and fee. Where the sizes differ,
// value and fee differ with them and are not reported on their own.
//
// An order that only the book knows is Missing when all its fills lie in the window,
// and unknown otherwise; so is one of which the venue does not say that it is done.
// The same fill or report given twice is a repeat; with other content it makes its
// order a Duplicate, and nothing else is said of that order.
//
// An order is young by its fills and by when it was done. An error names a fill whose
// value cannot be computed.
func CompareExecutions(book []andon.Fill, venue []OrderReport, window Window, rules Rules) (Comparison, error) {
	return (&judge{Rules: rules}).executions(book, venue, window)
}

func (j *judge) executions(book []andon.Fill, venue []OrderReport, window Window) (Comparison, error) {
	c := Comparison{Subject: Executions}
	orders := map[Key]*execution{}
	c.RepeatsInBook = addFills(orders, book)
	c.RepeatsOnVenue = addReports(orders, venue)
	for key, o := range orders {
		if err := o.compare(&c, key, window, j); err != nil {
			return Comparison{}, err
		}
	}
	c.sort()
	return c, nil
}

// execution is what both sides have for one order.
type execution struct {
	rows     []andon.Fill  // as they lie in the book, repeats included
	fills    []andon.Fill  // repeats left out
	reports  []OrderReport // repeats left out
	conflict bool          // some of these exclude each other
}

func at(orders map[Key]*execution, key Key) *execution {
	o := orders[key]
	if o == nil {
		o = &execution{}
		orders[key] = o
	}
	return o
}

func addFills(orders map[Key]*execution, fills []andon.Fill) (repeats int) {
	seen := make(map[fillID][]andon.Fill, len(fills))
	for _, f := range fills {
		o, id := at(orders, FillKey(f)), fillID{f.Venue, f.ID}
		o.rows = append(o.rows, f)
		known := seen[id]
		if slices.ContainsFunc(known, func(k andon.Fill) bool { return sameFill(k, f) }) {
			repeats++
			continue
		}
		o.fills = append(o.fills, f)
		seen[id] = append(known, f)
		if len(known) > 0 {
			o.conflict = true
			for _, k := range known {
				orders[FillKey(k)].conflict = true
			}
		}
	}
	return repeats
}

func addReports(orders map[Key]*execution, reports []OrderReport) (repeats int) {
	for _, r := range reports {
		o := at(orders, r.Key())
		if slices.ContainsFunc(o.reports, r.same) {
			repeats++
			continue
		}
		o.conflict = o.conflict || len(o.reports) > 0
		o.reports = append(o.reports, r)
	}
	return repeats
}

// young reports whether some of it may not have been seen by both sides yet.
func (o *execution) young(j *judge) bool {
	return slices.ContainsFunc(o.fills, func(f andon.Fill) bool { return j.young(f.At) }) ||
		slices.ContainsFunc(o.reports, func(r OrderReport) bool { return j.young(r.At) })
}

func (o *execution) compare(c *Comparison, key Key, window Window, j *judge) error {
	if len(o.fills) > 0 {
		c.InBook++
	}
	if len(o.reports) > 0 {
		c.OnVenue++
	}
	sortRows(o.rows)
	sortFills(o.fills)
	sortRows(o.reports)
	report := func(kind Kind, inBook, onVenue string) {
		c.file(Discrepancy{
			Kind: kind, Key: key, InBook: inBook, OnVenue: onVenue,
			Book: Evidence{Fills: o.rows}, Venue: Evidence{Reports: o.reports},
		}, o.young(j))
	}
	switch {
	case o.conflict:
		report(Duplicate, rowsSay(o.fills, fillSays), rowsSay(o.reports, OrderReport.says))
		return nil
	case len(o.reports) == 0 && !window.coversAll(o.fills):
		c.Unknown = append(c.Unknown, Unknown{key, "outside the window in which the venue's list is complete"})
		return nil
	case len(o.reports) == 0:
		report(Missing, fmt.Sprintf("%d fills", len(o.fills)), "none")
		return nil
	case !o.reports[0].Status.Done():
		c.Unknown = append(c.Unknown, Unknown{key, fmt.Sprintf("the venue says %v, not that it is done", o.reports[0].Status)})
		return nil
	}
	return o.compareTotals(c, o.reports[0], report)
}

func (o *execution) compareTotals(c *Comparison, r OrderReport, report func(Kind, string, string)) error {
	if len(o.fills) == 0 {
		if r.Filled.IsZero() {
			c.Agreed++
		} else {
			report(Unexpected, "none", r.Filled.String())
		}
		return nil
	}
	total, err := totalOf(o.fills)
	if err != nil {
		return err
	}
	before := len(c.Discrepancies) + len(c.Pending)
	if leg, ok := firstOther(o.fills, func(f andon.Fill) bool { return f.Symbol == r.Symbol && f.Leg == r.Leg }); ok {
		report(WrongLeg, leg.Key().String(), andon.LegKey{Venue: r.Venue, Symbol: r.Symbol, Leg: r.Leg}.String())
	}
	if f, ok := firstOther(o.fills, func(f andon.Fill) bool { return f.Side == r.Side }); ok {
		report(WrongSide, f.Side.String(), r.Side.String())
	}
	switch {
	case !total.Size.Equal(r.Filled):
		report(Quantity, total.Size.String(), r.Filled.String())
	default:
		if !total.Value.Equal(r.Value) {
			report(Price, "value "+total.Value.String(), "value "+r.Value.String())
		}
		if !feesAgree(total.Fees, r) {
			report(Fee, feesText(total.Fees), feesText([]Amount{{r.FeeCurrency, r.Fee}}))
		}
	}
	if len(c.Discrepancies)+len(c.Pending) == before {
		c.Agreed++
	}
	return nil
}

func firstOther(fills []andon.Fill, ok func(andon.Fill) bool) (andon.Fill, bool) {
	i := slices.IndexFunc(fills, func(f andon.Fill) bool { return !ok(f) })
	if i < 0 {
		return andon.Fill{}, false
	}
	return fills[i], true
}

func feesAgree(fees []Amount, r OrderReport) bool {
	switch len(fees) {
	case 0:
		return r.Fee.IsZero()
	case 1:
		return fees[0].Currency == r.FeeCurrency && fees[0].Amount.Equal(r.Fee)
	}
	return false
}

func feesText(fees []Amount) string {
	if len(fees) == 0 || len(fees) == 1 && fees[0].Amount.IsZero() {
		return "no fee"
	}
	return rowsSay(fees, func(a Amount) string { return "fee " + a.Amount.String() + " " + a.Currency })
}
