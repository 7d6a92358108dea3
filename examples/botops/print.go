package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// printer writes answers: JSON for programs, tables for people, colours on a terminal.
type printer struct {
	w, err   io.Writer
	json     bool
	terminal bool
	colour   bool
}

// show writes v as JSON, or has human write it.
func (p *printer) show(v any, human func()) error {
	if !p.json {
		human()
		return nil
	}
	enc := json.NewEncoder(p.w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

// text writes a text of the library as it is.
func (p *printer) text(s string) {
	if s = strings.TrimRight(s, "\n"); s != "" {
		fmt.Fprintln(p.w, s)
	}
}

// note is something to know beside the answer.
func (p *printer) note(format string, args ...any) {
	fmt.Fprintf(p.err, "botops: "+format+"\n", args...)
}

func (p *printer) good(s string) string { return p.paint(text.FgGreen, s) }
func (p *printer) bad(s string) string  { return p.paint(text.FgRed, s) }
func (p *printer) warn(s string) string { return p.paint(text.FgYellow, s) }

func (p *printer) paint(c text.Color, s string) string {
	if !p.colour {
		return s
	}
	text.EnableColors()
	return text.Colors{text.Bold, c}.Sprint(s)
}

// judge paints by whether it is well.
func (p *printer) judge(well bool, yes, no string) string {
	if well {
		return p.good(yes)
	}
	return p.bad(no)
}

// table writes rows below a head.
func (p *printer) table(head []any, rows ...[]any) {
	t := table.NewWriter()
	t.SetOutputMirror(p.w)
	style := table.StyleLight
	style.Options.DrawBorder = false
	style.Options.SeparateColumns = false
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(table.Row(head))
	for _, r := range rows {
		t.AppendRow(table.Row(r))
	}
	t.Render()
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
