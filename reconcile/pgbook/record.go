package pgbook

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/reconcile"
)

// ErrMapped says that a table is the bot's own, so that the bot writes into it.
var ErrMapped = errors.New("lies in the bot's own table")

// RecordFills puts fills into the book's own table and returns how many were new: one
// that is there already counts for nothing, whoever put it there and however many do at
// once; one with the same id and other content is reconcile.ErrConflict, and nothing is
// put in. Times are kept to the microsecond. Positions are the bot's own and are left
// alone.
//
// A commit whose answer was lost is done again, so that its fills count as there already;
// andon.ErrOutcomeUnknown says that the last attempt failed too. Record them again then.
func (b *Book) RecordFills(ctx context.Context, fills ...andon.Fill) (added int, err error) {
	if !b.fills.own {
		return 0, fmt.Errorf("pgbook: record fills: %w: %s", ErrMapped, b.fills.sql())
	}
	for _, f := range fills {
		if err := f.Validate(); err != nil {
			return 0, fmt.Errorf("pgbook: record fills: %w", err)
		}
	}
	err = b.writing(ctx, nil, func(tx pgx.Tx) error {
		added = 0
		for _, f := range fills {
			n, err := b.recordFill(ctx, tx, f)
			if err != nil {
				return err
			}
			added += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("pgbook: record fills: %w", err)
	}
	return added, nil
}

func (b *Book) recordFill(ctx context.Context, tx pgx.Tx, f andon.Fill) (added int, err error) {
	rows, err := b.fills.storable(reconcile.FillKey(f), []andon.Fill{f})
	if err != nil {
		return 0, err
	}
	f = rows[0]
	n, err := b.fills.put(ctx, tx, f, "ON CONFLICT (venue, id) DO NOTHING")
	if err != nil || n > 0 {
		return n, err
	}
	var have []andon.Fill
	err = query(ctx, tx, b.fills.selection("")+" WHERE venue = $1 AND id = $2", [][]byte{[]byte(f.Venue), []byte(f.ID)}, b.fills.head, func(values [][]byte) error {
		row := b.fills.blank
		err := b.fills.load(&row, values, new(arena))
		have = append(have, row)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case len(have) != 1:
		return 0, fmt.Errorf("fill %q was there and is gone: record it again", f.ID)
	case b.fills.text(have[0]) != b.fills.text(f):
		return 0, &reconcile.ConflictError{ID: f.ID, Have: says(have[0]), Got: says(f)}
	}
	return 0, nil
}

func says(f andon.Fill) string {
	return fmt.Sprintf("%v %v %v of order %q at %v, fee %v %s", f.Side, f.Quantity, f.Key(), reconcile.FillKey(f).Order, f.Price, f.Fee, f.FeeCurrency)
}

// PutOrder puts an order, or what became of it, into the book's own table in place of
// what was there under its id. A lost answer is as in RecordFills.
func (b *Book) PutOrder(ctx context.Context, o andon.Order) error {
	if !b.orders.own {
		return fmt.Errorf("pgbook: put order: %w: %s", ErrMapped, b.orders.sql())
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("pgbook: put order: %w", err)
	}
	err := b.writing(ctx, nil, func(tx pgx.Tx) error {
		rows, err := b.orders.storable(reconcile.OrderKey(o), []andon.Order{o})
		if err != nil {
			return err
		}
		_, err = b.orders.put(ctx, tx, rows[0], "ON CONFLICT (venue, client_id) DO UPDATE SET "+b.orders.replaced())
		return err
	})
	if err != nil {
		return fmt.Errorf("pgbook: put order: %w", err)
	}
	return nil
}
