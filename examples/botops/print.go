package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// printer writes answers: JSON for programs, tables for people, colours on a terminal.
type printer struct {
	w, err   io.Writer
	bars     io.Writer // a terminal's, for what moves on it
	json     bool
	terminal bool
	colour   bool
	width    int // of the terminal, in columns; 0: lines may be of any length
}

// newPrinter is a printer for people, or for programs.
func newPrinter(w, err io.Writer, json, terminal, colour bool) *printer {
	p := &printer{w: w, err: plain{err, false}, bars: err, json: json, terminal: terminal, colour: colour}
	if !json { // in which such runes are escaped
		p.w = plain{w, colour}
	}
	return p
}

// plain writes text from which nothing acts on the terminal: what symbols, exchanges and
// people have said may hold sequences that clear what stands there, or turn the order of
// words around. It lets through line feeds, tabs, and the colours that paint makes.
type plain struct {
	w      io.Writer
	colour bool
}

var ownColours = regexp.MustCompile(`^\x1b\[(?:0|1;3[123])m`)

func (p plain) Write(b []byte) (int, error) {
	var out []byte
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if own := ownColours.Find(rest); own != nil && p.colour {
			out, n = append(out, own...), len(own)
		} else if r == '\n' || r == '\t' || unicode.IsGraphic(r) && (r != utf8.RuneError || n > 1) {
			out = append(out, rest[:n]...)
		} else {
			q := strconv.QuoteToASCII(string(rest[:n]))
			out = append(out, q[1:len(q)-1]...)
		}
		rest = rest[n:]
	}
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// oneLine keeps what others have said from looking like a line of its own.
func oneLine(s string) string { return strings.Join(strings.Split(s, "\n"), `\n`) }

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

// dryRun says that nothing was done, and how it is.
func (p *printer) dryRun() {
	p.line("%s: say --dry-run=false", p.warn("DRY RUN: nothing was changed"))
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
	t.SetColumnConfigs(p.fit(head, rows))
	for _, r := range rows {
		for i, v := range r {
			if s, ok := v.(string); ok {
				r[i] = oneLine(s)
			}
		}
		t.AppendRow(table.Row(r))
	}
	t.Render()
}

// narrowest is the width below which no column is wrapped, in columns of the terminal.
const narrowest = 10

// fit has the widest columns of a table wrapped until its lines fit the terminal. What a
// program reads, or grep, keeps a row on a line.
func (p *printer) fit(head []any, rows [][]any) []table.ColumnConfig {
	if p.width <= 0 {
		return nil
	}
	widths, total := make([]int, len(head)), 0
	for i := range head {
		widths[i] = text.StringWidthWithoutEscSequences(fmt.Sprint(head[i]))
		for _, r := range rows {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(oneLine(fmt.Sprint(r[i]))))
		}
		total += widths[i] + 2 // go-pretty's space on both sides
	}
	for total > p.width {
		widest := 0
		for i := range widths {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= narrowest {
			break
		}
		widths[widest]--
		total--
	}
	configs := make([]table.ColumnConfig, len(widths))
	for i, w := range widths {
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMax: w, WidthMaxEnforcer: text.WrapSoft}
	}
	return configs
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
