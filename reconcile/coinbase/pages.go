package coinbase

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/andon-go/andon/internal/resthttp"
)

// pageSize is how many rows are asked for at once; the venue may give fewer.
const pageSize = 250

// mostPages bounds a list that never ends.
const mostPages = 40_000

// page is one page of a list.
type page[T any] struct {
	rows    *[]T
	hasNext *bool // nil where the list has no such field
	cursor  string
}

// pages reads a list to its end and gives each row to use, in order; use returns false
// to stop. A list that turns in circles, or breaks off, is an error. The same row may
// come twice, since lists move while they are read.
func pages[T any](ctx context.Context, v *Venue, path string, q url.Values, read func([]byte) (page[T], error), use func(T) (bool, error)) error {
	if q == nil {
		q = url.Values{}
	}
	q.Set("limit", strconv.Itoa(pageSize))
	seen := map[string]bool{}
	for range mostPages {
		var body rawJSON
		if _, err := v.get(ctx, path, q, &body); err != nil {
			return err
		}
		p, err := read(body)
		if err == nil && p.rows == nil {
			err = errors.New("the rows are missing")
		}
		if err != nil {
			return fmt.Errorf("coinbase: GET %s: %w", path, err)
		}
		for _, row := range *p.rows {
			if more, err := use(row); err != nil || !more {
				return err
			}
		}
		switch {
		case p.hasNext != nil && !*p.hasNext, p.hasNext == nil && p.cursor == "":
			return nil
		case p.cursor == "":
			return fmt.Errorf("coinbase: GET %s: there are more rows and no cursor to them: the list is not complete", path)
		case seen[p.cursor]:
			return fmt.Errorf("coinbase: GET %s: the cursor %.40q came twice: the list turns in circles and is not complete", path, p.cursor)
		}
		seen[p.cursor] = true
		q.Set("cursor", p.cursor)
	}
	return fmt.Errorf("coinbase: GET %s: more than %d pages: the list is not complete", path, mostPages)
}

// rawJSON is JSON that is read later.
type rawJSON []byte

// UnmarshalJSON keeps it as it is.
func (r *rawJSON) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

// rowErr names the row that cannot be read.
func rowErr(f *resthttp.Fields, what, id string) error {
	if id == "" {
		id = "without an id"
	}
	return f.Err("%s %s", what, id)
}
