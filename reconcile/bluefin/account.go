package bluefin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/internal/resthttp"
)

// Positions returns every position that is not flat. There is one a symbol, so that the
// leg is net. It is read without logging in: the venue shows any account to anybody.
func (v *Venue) Positions(ctx context.Context) ([]andon.Position, error) {
	a, _, err := v.account(ctx)
	return a.positions, err
}

// Balances returns every asset. Reserved is what cannot be taken out, for positions and
// orders together: the venue does not tell them apart.
func (v *Venue) Balances(ctx context.Context) ([]andon.Balance, error) {
	a, _, err := v.account(ctx)
	return a.balances, err
}

// account reads the account. An account that the venue does not know is an error, and not
// an empty one.
func (v *Venue) account(ctx context.Context) (account, time.Duration, error) {
	const path = "/api/v1/account"
	answer, err := v.api.Do(ctx, resthttp.Request{
		Method: http.MethodGet, Path: path, Query: url.Values{"accountAddress": {v.config.Account}}, Repeat: true,
	})
	if err != nil {
		return account{}, 0, v.named(err)
	}
	a, err := decodeAccount(answer.Body, v.config.Name, v.config.Account)
	if err != nil {
		return account{}, 0, fmt.Errorf("bluefin: GET %s: %w", path, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held, v.heldAt = a.markets, time.Now()
	return a, answer.Took, nil
}

// The pages of trades.
const (
	tradesPage = 1000
	mostPages  = 10_000
)

// Fills returns every execution since a time, of a symbol or of all where it is empty,
// in no order. The venue lists them some time after they happen. One whose fee the venue
// does not tell is an error.
func (v *Venue) Fills(ctx context.Context, symbol string, since time.Time) ([]andon.Fill, error) {
	trades, err := v.trades(ctx, symbol, since)
	if err != nil {
		return nil, err
	}
	var fills []andon.Fill
	for _, t := range trades {
		if !t.feeKnown {
			return nil, fmt.Errorf("bluefin: trade %s: its fee is missing", t.ID)
		}
		fills = append(fills, t.Fill)
	}
	return fills, nil
}

// trades reads the trades since a time to the last page, each once. The venue answers
// for less than 90 days at a time.
func (v *Venue) trades(ctx context.Context, symbol string, since time.Time) ([]trade, error) {
	var all []trade
	seen := map[string]int{}
	// What trades meanwhile belongs to the answer, so that the end is in the future.
	end := v.clock.Now().Add(time.Minute)
	for from := since; from.Before(end); from = from.Add(89 * day) {
		to := from.Add(89 * day)
		if to.After(end) {
			to = end
		}
		q := url.Values{
			"startTimeAtMillis": {strconv.FormatInt(max(0, from.UnixMilli()), 10)}, "endTimeAtMillis": {strconv.FormatInt(to.UnixMilli(), 10)},
			"limit": {strconv.Itoa(tradesPage)},
		}
		if symbol != "" {
			q.Set("symbol", symbol)
		}
		if err := v.tradePages(ctx, q, func(t trade) bool {
			if i, ok := seen[t.ID]; ok {
				all[i] = t
				return false
			}
			seen[t.ID] = len(all)
			all = append(all, t)
			return true
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// tradePages gives each trade of all pages to add, which says whether it is new. The last
// page is the empty one, or one that is not full and has nothing new: the venue may give
// fewer rows than it is asked for. A full page without a new row is an error, since the
// pages would never end.
func (v *Venue) tradePages(ctx context.Context, q url.Values, add func(trade) bool) error {
	const path = "/api/v1/account/trades"
	for page := 1; page <= mostPages; page++ {
		q.Set("page", strconv.Itoa(page))
		body, err := v.get(ctx, v.api, path, q)
		if err != nil {
			return err
		}
		rows, err := decodeTrades(body, v.config.Name)
		if err != nil {
			return fmt.Errorf("bluefin: GET %s: %w", path, err)
		}
		fresh := 0
		for _, t := range rows {
			if add(t) {
				fresh++
			}
		}
		switch {
		case len(rows) == 0, fresh == 0 && len(rows) < tradesPage:
			return nil
		case fresh == 0:
			return fmt.Errorf("bluefin: GET %s: page %d is the one before it again: the list is not complete", path, page)
		}
	}
	return errors.New("bluefin: GET " + path + ": too many pages: the list is not complete")
}
