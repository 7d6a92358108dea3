package safety

import (
	"fmt"
	"math/big"
	"time"

	"github.com/andon-go/andon"
)

// Trade is what one closed trade, or a part of it, made. It is what the daily loss and
// the losing streak count.
type Trade struct {
	ID     string        // unique; one that was fed before is not counted again
	Profit andon.Decimal // before fees, in the account's currency; negative is a loss
	Fee    andon.Decimal // of entry and exit; negative is a rebate
	At     time.Time     // when it was closed, as the venue says
}

// Transfer is money that came or went and was neither earned nor lost.
type Transfer struct {
	ID     string        // unique; one that was fed before is not counted again
	Amount andon.Decimal // in the account's currency; negative is a withdrawal
	At     time.Time     // when it took effect, as the venue says
}

func (m *tripMachine) trade(now tripNow, t Trade) error {
	m.roll(now)
	if t.ID == "" || t.At.IsZero() {
		return fmt.Errorf("trade %q of %v at %v: it takes an id and a time, so that it counts once", t.ID, t.Profit.Sub(t.Fee), t.At)
	}
	net := t.Profit.Sub(t.Fee)
	switch m.ids.add("trade", t.ID, t.At) {
	case repeated:
		return nil
	case doubtful:
		if net.Sign() > 0 {
			return nil // it may be there twice, and then it would hide a loss
		}
	}
	m.s.Net = m.s.Net.Add(net)
	switch net.Sign() {
	case -1:
		m.s.Streak++
	case 1:
		m.s.Streak = 0
	}
	if m.s.Streak >= m.cfg.LosingStreak {
		m.fire(TripLosingStreak, now, "%d trades in a row lost, the last one, %s, %v net of fees; the limit is %d in a row, and counting begins again at 0 now",
			m.s.Streak, t.ID, net.Abs(), m.cfg.LosingStreak)
		m.s.Streak = 0
	}
	m.daily(now)
	return nil
}

// daily judges the loss of the day.
func (m *tripMachine) daily(now tripNow) {
	if m.s.Opening.Sign() <= 0 {
		return // no equity yet today: its condition is in force meanwhile
	}
	fallen := m.s.Opening.Sub(m.s.Equity)
	lost := fallen.Max(m.s.Net.Neg())
	if !reaches(lost.Sub(m.s.Named), m.s.Opening, m.cfg.DailyLoss) {
		return
	}
	named := ""
	if m.s.Named.Sign() > 0 {
		named = fmt.Sprintf(", of which an earlier hold has named %v", m.s.Named)
	}
	m.fire(TripDailyLoss, now, "lost %v of the %v with which %s opened in %v, that is %s%s; trades made %v net of fees, equity is %v; the limit is %s, and it counts from a loss of %v on now",
		lost, m.s.Opening, m.s.Day, m.cfg.Zone, shareText(lost, m.s.Opening), named, m.s.Net, m.s.Equity, ratioText(m.cfg.DailyLoss), lost)
	m.s.Named = lost
}

const conditionEquity = conditionStale + "equity reading"

func (m *tripMachine) equity(now tripNow, equity andon.Decimal) {
	m.roll(now)
	m.hear("equity", m.cfg.MaxFeedAge, now, now)
	m.s.Equity = equity
	positive := equity.Sign() > 0
	if positive {
		delete(m.present, conditionEquity)
	} else {
		// Gone, or read wrongly: nobody can tell which, and no ratio of it means anything.
		m.present[conditionEquity] = condition{TripStaleData, "equity reads as " + equity.String()}
	}
	m.drawdown(now, equity, positive)
	m.rapid(now, equity, positive)
	if m.s.Opening.Sign() == 0 && positive {
		m.s.Opening = equity
	}
	m.daily(now)
}

func (m *tripMachine) drawdown(now tripNow, equity andon.Decimal, positive bool) {
	switch {
	case m.s.Peak.Less(equity):
		m.s.Peak = equity
	case m.s.Peak.Sign() > 0 && reaches(m.s.Peak.Sub(equity), m.s.Peak, m.cfg.Drawdown):
		down := m.s.Peak.Sub(equity)
		m.fire(TripDrawdown, now, "equity is %v, %s below the peak of %v; the limit is %s, and it counts from %v on now",
			equity, shareText(down, m.s.Peak), m.s.Peak, ratioText(m.cfg.Drawdown), equity)
		m.s.Peak = andon.Decimal{}
		if positive {
			m.s.Peak = equity
		}
	}
}

func (m *tripMachine) rapid(now tripNow, equity andon.Decimal, positive bool) {
	w := m.cfg.RapidWindow
	if positive {
		m.s.Highs = high(m.s.Highs, now.clock, w, equity)
	}
	top := highest(m.s.Highs)
	if top.Equity.Sign() <= 0 || !reaches(top.Equity.Sub(equity), top.Equity, m.cfg.RapidLoss) {
		return
	}
	m.fire(TripRapidLoss, now, "equity is %v, %s below the %v of %s; the limit is %s within %v, and it counts from %v on now",
		equity, shareText(top.Equity.Sub(equity), top.Equity), top.Equity, stamp(now.wall.Add(top.At.Sub(now.clock))), ratioText(m.cfg.RapidLoss), w, equity)
	m.s.Highs = nil
	if positive {
		m.s.Highs = high(nil, now.clock, w, equity)
	}
}

// transfer moves every reference as equity moves, so that the transfer neither is a
// loss nor hides one.
func (m *tripMachine) transfer(now tripNow, t Transfer) error {
	m.roll(now)
	after := m.s.Equity.Add(t.Amount)
	switch {
	case t.ID == "" || t.At.IsZero():
		return fmt.Errorf("transfer %q of %v at %v: it takes an id and a time, so that it counts once", t.ID, t.Amount, t.At)
	case m.ids.has("transfer", t.ID):
		return nil
	case m.s.Equity.Sign() <= 0 && m.s.Peak.Sign() <= 0 && m.s.Opening.Sign() <= 0:
		return nil // nothing is compared with yet
	case m.s.Equity.Sign() <= 0 || after.Sign() <= 0:
		return fmt.Errorf("transfer %s of %v leaves %v of an equity of %v: what follows cannot be compared with what was", t.ID, t.Amount, after, m.s.Equity)
	}
	if m.ids.add("transfer", t.ID, t.At) == doubtful && t.Amount.Sign() < 0 {
		return nil // it may be there twice, and then it would hide a loss
	}
	scale := func(d andon.Decimal) andon.Decimal { return scaled(d, after, m.s.Equity) }
	m.s.Peak, m.s.Opening = scale(m.s.Peak), scale(m.s.Opening)
	m.s.Net, m.s.Named = scale(m.s.Net.Neg()).Neg(), scale(m.s.Named)
	for i := range m.s.Highs {
		m.s.Highs[i].Equity = scale(m.s.Highs[i].Equity)
	}
	m.s.Equity = after
	return nil
}

// scaledPlaces is how many digits after the point scaled keeps.
const scaledPlaces = 12

// scaled returns d × num / den. Where that does not end within scaledPlaces it is
// rounded up, which makes a loss larger. Where it does not fit, it is left alone.
func scaled(d, num, den andon.Decimal) andon.Decimal {
	r := rat(d)
	r.Mul(r, rat(num)).Quo(r, rat(den))
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(scaledPlaces), nil)
	r.Mul(r, new(big.Rat).SetInt(unit))
	q, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int)) // towards minus infinity
	if rest.Sign() != 0 {
		q.Add(q, big.NewInt(1))
	}
	v, err := andon.ParseDecimal(q.String() + "e-12")
	if err != nil {
		return d
	}
	return v
}

func rat(d andon.Decimal) *big.Rat {
	r, ok := new(big.Rat).SetString(d.String())
	if !ok {
		panic("safety: " + d.String() + " is no number")
	}
	return r
}
