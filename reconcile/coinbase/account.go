package coinbase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/andon-go/andon"
)

// Positions returns every leg that is not flat, of what Config names. A spot holding has
// neither an entry price nor a mark: the venue says none. Futures count units of the
// base, not contracts.
func (v *Venue) Positions(ctx context.Context) ([]andon.Position, error) {
	var all []andon.Position
	for _, part := range []struct {
		on   bool
		read func(context.Context) ([]andon.Position, error)
	}{
		{v.config.Spot, v.spotPositions},
		{v.config.Futures, v.futuresPositions},
		{v.config.Perpetuals != "", v.perpetualPositions},
	} {
		if !part.on {
			continue
		}
		some, err := part.read(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return slices.DeleteFunc(all, func(p andon.Position) bool { return p.Quantity.IsZero() }), nil
}

func (v *Venue) spotPositions(ctx context.Context) ([]andon.Position, error) {
	held, err := v.holdings(ctx)
	if err != nil {
		return nil, err
	}
	at := v.client.Clock().Now()
	var all []andon.Position
	for _, h := range merge(held) {
		if slices.Contains(v.config.Cash, h.currency) {
			continue
		}
		all = append(all, andon.Position{Venue: v.config.Name, Symbol: h.currency + "-" + v.config.Quote, Quantity: h.total, At: at})
	}
	return all, nil
}

// holdings reads every spot account. One that comes twice counts once, as it came last.
func (v *Venue) holdings(ctx context.Context) ([]holding, error) {
	var all []holding
	at := map[string]int{}
	err := pages(ctx, v, "/accounts", nil, decodeAccounts, func(w wireAccount) (bool, error) {
		h, err := w.holding()
		if err != nil {
			return false, fmt.Errorf("coinbase: GET /accounts: %w", err)
		}
		if i, ok := at[h.id]; ok {
			all[i] = h
		} else {
			at[h.id] = len(all)
			all = append(all, h)
		}
		return true, nil
	})
	return all, err
}

// merge adds up what there is of each currency, by name.
func merge(all []holding) []holding {
	sum := map[string]holding{}
	for _, h := range all {
		s := sum[h.currency]
		sum[h.currency] = holding{currency: h.currency, total: s.total.Add(h.total), hold: s.hold.Add(h.hold)}
	}
	var merged []holding
	for _, h := range sum {
		merged = append(merged, h)
	}
	slices.SortFunc(merged, func(a, b holding) int { return strings.Compare(a.currency, b.currency) })
	return merged
}

func (v *Venue) futuresPositions(ctx context.Context) ([]andon.Position, error) {
	return positionsOf(ctx, v, "/cfm/positions", decodeFuturesPositions)
}

func (v *Venue) perpetualPositions(ctx context.Context) ([]andon.Position, error) {
	if v.config.Perpetuals == "" {
		return nil, errors.New("coinbase: Config.Perpetuals is empty: the portfolio is not known")
	}
	return positionsOf(ctx, v, "/intx/positions/"+v.config.Perpetuals, decodePerpetualPositions)
}

// positionsOf reads a list of positions and turns their sizes into units of the base.
func positionsOf[W interface {
	wireFuturesPosition | wirePerpetualPosition
}](ctx context.Context, v *Venue, path string, decode func([]byte) ([]W, error)) ([]andon.Position, error) {
	var body rawJSON
	if _, err := v.get(ctx, path, nil, &body); err != nil {
		return nil, err
	}
	rows, err := decode(body)
	if err != nil {
		return nil, fmt.Errorf("coinbase: GET %s: %w", path, err)
	}
	at := v.client.Clock().Now()
	var all []andon.Position
	for _, row := range rows {
		var p andon.Position
		switch w := any(row).(type) {
		case wireFuturesPosition:
			p, err = w.position(v.config.Name, at)
		case wirePerpetualPosition:
			p, err = w.position(v.config.Name, at)
		}
		if err != nil {
			return nil, fmt.Errorf("coinbase: GET %s: %w", path, err)
		}
		if p, err = v.inUnits(ctx, p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (v *Venue) inUnits(ctx context.Context, p andon.Position) (andon.Position, error) {
	if p.Quantity.IsZero() {
		return p, nil
	}
	about, err := v.product(ctx, p.Symbol)
	if err != nil {
		return p, fmt.Errorf("position %s: its contract size is not known: %w", p.Symbol, err)
	}
	if p.Quantity, err = about.units(p.Quantity); err != nil {
		return p, fmt.Errorf("coinbase: position %s: %w", p.Symbol, err)
	}
	return p, nil
}

// Balances returns every currency that the account holds, of what Config names, each
// once: spot accounts, futures account and portfolio together.
func (v *Venue) Balances(ctx context.Context) ([]andon.Balance, error) {
	var held []holding
	if v.config.Spot {
		some, err := v.holdings(ctx)
		if err != nil {
			return nil, err
		}
		held = append(held, some...)
	}
	if v.config.Futures {
		var body rawJSON
		if _, err := v.get(ctx, "/cfm/balance_summary", nil, &body); err != nil {
			return nil, err
		}
		h, err := decodeFuturesBalance(body)
		if err != nil {
			return nil, fmt.Errorf("coinbase: GET /cfm/balance_summary: %w", err)
		}
		held = append(held, h)
	}
	if id := v.config.Perpetuals; id != "" {
		var body rawJSON
		if _, err := v.get(ctx, "/intx/balances/"+id, nil, &body); err != nil {
			return nil, err
		}
		some, err := decodePerpetualBalances(body)
		if err != nil {
			return nil, fmt.Errorf("coinbase: GET /intx/balances: %w", err)
		}
		held = append(held, some...)
	}
	var all []andon.Balance
	for _, h := range merge(held) {
		all = append(all, andon.Balance{Venue: v.config.Name, Currency: h.currency, Total: h.total, Reserved: h.hold})
	}
	return all, nil
}
