package main

import (
	"fmt"
	"time"

	"github.com/andon-go/andon/safety"
)

// picture is what stands above the lines on a terminal: the cord, the positions with
// their stops, and what is due next.
func (d *day) picture(width int) []string {
	st := d.sw.Status()
	colour := map[safety.TradingState]string{safety.Halted: "\x1b[41;97m", safety.Reducing: "\x1b[43;30m", safety.Active: "\x1b[42;30m"}[st.State]
	sent, denied, lost := d.tally()
	lines := []string{
		fmt.Sprintf("%s %-8v \x1b[0m  %d in flight, %d sent, %d denied, %d answers lost", colour, st.State, st.InFlight, sent, denied, lost),
	}
	for i, h := range st.Holds {
		if i == 3 {
			lines = append(lines, fmt.Sprintf("  and %d holds more", len(st.Holds)-i))
			break
		}
		lines = append(lines, "  "+h.String())
	}
	view, report := d.snapshot()
	lines = append(lines, fmt.Sprintf("%-12s %12s %12s %12s   %s", "position", "quantity", "entry", "mark", "stop"))
	stops := map[string]string{}
	for _, leg := range report.Legs {
		cover := "\x1b[31mNAKED\x1b[0m"
		if leg.Protected() {
			cover = "covered"
			for _, s := range leg.Stops {
				cover += " at " + s.Order.Trigger.String()
			}
		} else if leg.Covered.Sign() > 0 {
			cover = fmt.Sprintf("\x1b[31m%v of it NAKED\x1b[0m", leg.Uncovered)
		}
		stops[leg.Position.Symbol] = cover
	}
	for _, p := range view.Positions {
		lines = append(lines, fmt.Sprintf("%-12s %12v %12v %12v   %s", p.Symbol, p.Quantity, p.Entry, p.Mark, stops[p.Symbol]))
	}
	for _, in := range d.manager.Open() {
		lines = append(lines, fmt.Sprintf("\x1b[1m%s %v %s\x1b[0m, led by %s: %s", in.Number, in.Level, in.Status, orNobody(in.Commander), in.Summary))
	}
	for i, u := range d.manager.Upcoming() {
		if i == 3 {
			break
		}
		lines = append(lines, fmt.Sprintf("  due in %-8v %s", time.Until(u.At).Round(time.Second), u.What))
	}
	return lines
}

func orNobody(name string) string {
	if name == "" {
		return "nobody yet"
	}
	return name
}
