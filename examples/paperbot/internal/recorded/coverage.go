package recorded

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/andon-go/andon/reconcile"
)

// coverage finds out for which time the pages of orders are complete. Pages come
// newest first; one that goes on from another has the same url with "after" set to
// the moment at which the other ended.
type coverage struct {
	queries []*query

	asked  string // what the first page asked for, its time aside
	differ bool   // another page asked for something else

	records int       // in the page that is being read
	oldest  time.Time // creation of its oldest record
	mixed   bool      // its records do not go back in time
}

// query is a chain of pages.
type query struct {
	key      string // the url without "after"
	from, to time.Time
	oldest   time.Time // as far as the chain got
	done     bool      // nothing follows: the last page was not full
}

// record takes the creation of one record of the page.
func (c *coverage) record(created time.Time) {
	c.mixed = c.mixed || c.records > 0 && created.After(c.oldest)
	c.oldest = created
	c.records++
}

// page takes the url of the page whose records were just given.
func (c *coverage) page(text string) error {
	defer func() { c.records, c.oldest, c.mixed = 0, time.Time{}, false }()
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("is not a url")
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("is not a url: %w", err)
	}
	from, err := moment(values, "start_date")
	if err != nil {
		return err
	}
	to, err := moment(values, "end_date")
	if err != nil {
		return err
	}
	after, err := moment(values, "after")
	if err != nil {
		return err
	}
	full := true // unless the url says how many a page holds
	if limit, err := strconv.Atoi(values.Get("limit")); err == nil {
		full = c.records >= limit
	}
	c.compareAsked(values)
	values.Del("after")
	u.RawQuery = values.Encode()
	ordered := values.Get("sortedBy") == "created_at" && values.Get("sorting") == "desc" && !c.mixed
	if ordered && !from.IsZero() && !to.IsZero() {
		c.chain(u.String(), from, to, after, full)
	}
	return nil
}

// compareAsked notes whether all pages are of the same product and status: a window
// in which one product is complete says nothing of another.
func (c *coverage) compareAsked(values url.Values) {
	asked := url.Values{"product_id": values["product_id"], "status[]": values["status[]"]}.Encode()
	if c.asked == "" {
		c.asked = asked
	}
	c.differ = c.differ || c.asked != asked || !slices.Equal(values["status[]"], []string{"done"})
}

// chain adds a page to the query that it belongs to. A page that goes on from one
// that is not there says nothing.
func (c *coverage) chain(key string, from, to, after time.Time, full bool) {
	var q *query
	if after.IsZero() {
		q = &query{key: key, from: from, to: to, oldest: to}
		c.queries = append(c.queries, q)
	} else if i := slices.IndexFunc(c.queries, func(q *query) bool {
		return q.key == key && !q.done && q.oldest.Equal(after)
	}); i >= 0 {
		q = c.queries[i]
	} else {
		return
	}
	if c.records > 0 {
		q.oldest = c.oldest
	}
	q.done = !full
}

// span is what a query has seen without a gap.
func (q *query) span() reconcile.Window {
	if q.done {
		return reconcile.Window{From: q.from, To: q.to}
	}
	return reconcile.Window{From: q.oldest.Add(1), To: q.to} // the next page may begin with the same moment
}

// window joins the spans that touch and returns the longest.
func (c *coverage) window() (longest reconcile.Window) {
	if c.differ {
		return longest
	}
	var spans []reconcile.Window
	for _, q := range c.queries {
		if s := q.span(); s.From.Before(s.To) {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b reconcile.Window) int { return a.From.Compare(b.From) })
	var current reconcile.Window
	for i, s := range spans {
		if i == 0 || current.To.Before(s.From) {
			current = s
		} else if current.To.Before(s.To) {
			current.To = s.To
		}
		if longest.To.Sub(longest.From) < current.To.Sub(current.From) {
			longest = current
		}
	}
	return longest
}

// moment reads a date or a time from a url; the zero time where there is none.
func moment(values url.Values, name string) (time.Time, error) {
	text := values.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is %q, want a date like 2025-06-15", name, short([]byte(text)))
}
