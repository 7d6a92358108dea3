package pgbook

import (
	"errors"
	"fmt"
	"strings"

	"github.com/andon-go/andon"
)

// DecodeNumeric is decodeNumeric for tests.
func DecodeNumeric(b []byte) (andon.Decimal, error) { return decodeNumeric(b) }

// Statements are the queries that a mapping gives.
func Statements(m Mapping) []string {
	m = m.withDefaults()
	b := &Book{
		config: Config{Mapping: m, Venue: "v"}.withDefaults(), positions: m.positions("v"), orders: m.orders("s", "v"), fills: m.fills("s", "v"), trades: m.trades(),
	}
	all := []string{b.positions.selection(""), b.orders.selection("ctid::text, "), b.fills.selection("")}
	for _, c := range b.checks() {
		if c.name == "trades-address" { // asks the database
			continue
		}
		if sql, err := c.build(&run{book: b}); err == nil {
			all = append(all, sql)
		}
	}
	return all
}

// CheckQuoting reads a statement as PostgreSQL's scanner does and reports what only a
// name that broke out of its quotes could have brought.
func CheckQuoting(sql string) error {
	for i := 0; i < len(sql); i++ {
		switch c := sql[i]; {
		case c == '"':
			end := closing(sql, i, '"', false)
			if end < 0 {
				return fmt.Errorf("open name at %d in %s", i, sql)
			}
			i = end
		case c == '\'':
			end := closing(sql, i, '\'', i > 0 && sql[i-1] == 'E')
			if end < 0 {
				return fmt.Errorf("open text at %d in %s", i, sql)
			}
			i = end
		case c == ';', strings.HasPrefix(sql[i:], "--"), strings.HasPrefix(sql[i:], "/*"), c == 0, c >= 0x80:
			return fmt.Errorf("%q at %d in %s", c, i, sql)
		}
	}
	if strings.Count(sql, "(") < strings.Count(sql, "SELECT")-1 {
		return errors.New("a second statement")
	}
	return nil
}

func closing(sql string, start int, quote byte, escapes bool) int {
	for i := start + 1; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
		case sql[i] == quote:
			return i
		}
	}
	return -1
}
