package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/andon-go/andon"
)

// Validate reports whether the edit has exactly the list of rows that its key's
// subject names, and only rows of that key.
func (e Edit) Validate() error {
	lists := 0
	for _, set := range []bool{e.Positions != nil, e.Orders != nil, e.Fills != nil, e.Balances != nil} {
		if set {
			lists++
		}
	}
	switch {
	case lists != 1:
		return fmt.Errorf("%v: %d lists of rows, want one", e.Key, lists)
	case e.Key.Subject == Positions && e.Positions != nil:
		return checkKeys(e.Key, e.Positions, positionKeyOf)
	case e.Key.Subject == LiveOrders && e.Orders != nil:
		return checkKeys(e.Key, e.Orders, OrderKey)
	case e.Key.Subject == Executions && e.Fills != nil:
		return checkKeys(e.Key, e.Fills, FillKey)
	case e.Key.Subject == Balances && e.Balances != nil:
		return checkKeys(e.Key, e.Balances, BalanceKey)
	}
	return fmt.Errorf("%v: the list of rows is of another subject", e.Key)
}

func positionKeyOf(p andon.Position) Key { return PositionKey(p.Key()) }

func checkKeys[T any](key Key, rows *Rows[T], of func(T) Key) error {
	for _, r := range slices.Concat(rows.Before, rows.After) {
		if of(r) != key {
			return fmt.Errorf("%v: a row is of %v", key, of(r))
		}
	}
	return nil
}

// Edit returns the records with all edits made, or none: an error names every edit
// that is not valid, and every key whose rows are not exactly those that its edit
// expects as a *MovedError. The receiver is not changed. It is for Book implementations
// that hold their records in memory.
func (r Records) Edit(edits []Edit) (Records, error) {
	next := Records{slices.Clone(r.Positions), slices.Clone(r.Orders), slices.Clone(r.Fills), slices.Clone(r.Balances)}
	var errs []error
	for _, e := range edits {
		err := e.Validate()
		switch {
		case err != nil:
		case e.Positions != nil:
			next.Positions, err = replace(next.Positions, e.Key, e.Positions, positionKeyOf, positionSays)
		case e.Orders != nil:
			next.Orders, err = replace(next.Orders, e.Key, e.Orders, OrderKey, orderSays)
		case e.Balances != nil:
			next.Balances, err = replace(next.Balances, e.Key, e.Balances, BalanceKey, balanceSays)
		default:
			next.Fills, err = replace(next.Fills, e.Key, e.Fills, FillKey, fillSays)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return Records{}, err
	}
	return next, nil
}

func replace[T any](all []T, key Key, rows *Rows[T], of func(T) Key, says func(T) string) ([]T, error) {
	var kept, have []T
	for _, r := range all {
		if of(r) == key {
			have = append(have, r)
		} else {
			kept = append(kept, r)
		}
	}
	if !sameRows(have, rows.Before) {
		was, now := rowsSay(rows.Before, says), rowsSay(have, says)
		if was == now { // what differs is not in the words: a time, or how often a row is there
			was, now = rowsSay(rowTexts(rows.Before), strings.Clone), rowsSay(rowTexts(have), strings.Clone)
			was, now = fmt.Sprintf("%d rows, %s", len(rows.Before), was), fmt.Sprintf("%d rows, %s", len(have), now)
		}
		return nil, &MovedError{BookSide, key, was, now}
	}
	return append(kept, rows.After...), nil
}

// sameRows reports whether both have the same rows as they would be stored, in any
// order.
func sameRows[T any](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	return slices.Equal(rowTexts(a), rowTexts(b))
}

func rowTexts[T any](rows []T) []string {
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = rowText(r)
	}
	slices.Sort(texts)
	return texts
}
