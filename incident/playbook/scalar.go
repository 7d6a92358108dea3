package playbook

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/notify"
	"github.com/andon-go/andon/severity"
)

// scalar is how a type is written as one word or number of a file. Load and Schema both
// stand on it, so that an editor refuses what Load refuses.
type scalar struct {
	wants  string   // for people, behind "want"
	tags   []string // of YAML, that it may resolve to
	format string   // the tag that Encode writes; empty: whatever it resolves to
	shape  *regexp.Regexp
	words  []string // all that there are; nil: as shape says
	number string   // the type of JSON that a number of the file has; empty: it is none
	parse  func(text string, to reflect.Value) error
	write  func(from reflect.Value) string
}

const (
	durationExpr = `(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)`
	dateExpr     = `[0-9]{4}-[0-9]{2}-[0-9]{2}`
)

var (
	textTags   = []string{"!!str"}
	numberTags = []string{"!!int", "!!float", "!!str"}
)

// scalars are the types that are written as one word.
var scalars = map[reflect.Type]*scalar{
	reflect.TypeFor[time.Duration](): {
		wants: "a time such as 500ms, 30s or 1h30m", tags: textTags, format: "!!str", shape: whole(durationExpr),
		parse: func(text string, to reflect.Value) error {
			d, err := time.ParseDuration(text)
			to.SetInt(int64(d))
			return err
		},
		write: func(v reflect.Value) string { return span(time.Duration(v.Int())) },
	},
	reflect.TypeFor[andon.Decimal](): {
		wants: "a number such as 0.1", tags: numberTags, number: "number",
		shape: whole(`[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?`),
		parse: func(text string, to reflect.Value) error {
			d, err := andon.ParseDecimal(text)
			to.Set(reflect.ValueOf(d))
			return err
		},
		write: func(v reflect.Value) string { return v.Interface().(andon.Decimal).String() },
	},
	reflect.TypeFor[severity.Value](): {
		wants: "a share such as 20% or 1/6, a time such as 500ms, a number of things such as 5, or unknown", tags: []string{"!!str", "!!int"},
		shape: whole(`unknown|[0-9]+%?|[0-9]+/[1-9][0-9]*|` + durationExpr + `(/[1-9][0-9]*)?`), number: "integer",
		parse: func(text string, to reflect.Value) error {
			v, err := parseValue(text)
			to.Set(reflect.ValueOf(v))
			return err
		},
		write: func(v reflect.Value) string { return formatValue(v.Interface().(severity.Value)) },
	},
	reflect.TypeFor[severity.Level](): text("a level", "unclassified", "SEV-1", "SEV-2", "SEV-3", "SEV-4"),
	reflect.TypeFor[notify.Clock]():   textOf("a time of day such as 09:30", textTags, `([01][0-9]|2[0-3]):[0-5][0-9]`),
	reflect.TypeFor[notify.Date]():    textOf("a day such as 2026-03-14", []string{"!!str", "!!timestamp"}, dateExpr),
	reflect.TypeFor[time.Time]():      textOf("a time such as 2026-03-14T09:00:00Z", []string{"!!str", "!!timestamp"}, dateExpr+`T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})`),
	reflect.TypeFor[time.Weekday](): {
		wants: "a day of the week such as Monday", tags: textTags, format: "!!str", words: weekdays(),
		parse: func(text string, to reflect.Value) error {
			to.SetInt(int64(slices.Index(weekdays(), text)))
			return nil
		},
		write: func(v reflect.Value) string { return time.Weekday(v.Int()).String() },
	},
	reflect.TypeFor[*time.Location](): {
		wants: "a time zone such as Europe/Berlin", tags: textTags, format: "!!str", shape: whole(`[A-Za-z0-9_+/-]+`),
		parse: func(text string, to reflect.Value) error {
			if text == "Local" {
				return errors.New("Local is another zone on each machine: name it")
			}
			zone, err := time.LoadLocation(text)
			to.Set(reflect.ValueOf(zone))
			return err
		},
		write: func(v reflect.Value) string {
			if v.IsNil() {
				return "UTC"
			}
			return v.Interface().(*time.Location).String()
		},
	},
}

// scalarOf returns how a type is written as one word, or nil where it is not.
func scalarOf(t reflect.Type) *scalar {
	if s, ok := scalars[t]; ok {
		return s
	}
	switch t.Kind() {
	case reflect.String:
		return words
	case reflect.Bool:
		return truth
	case reflect.Int, reflect.Int64:
		return integer
	}
	return nil
}

var words = &scalar{
	wants: "a text", tags: textTags, format: "!!str",
	parse: func(text string, to reflect.Value) error { to.SetString(text); return nil },
	write: func(v reflect.Value) string { return v.String() },
}

var truth = &scalar{
	wants: "true or false", tags: []string{"!!bool"}, format: "!!bool", words: []string{"true", "false"},
	parse: func(text string, to reflect.Value) error { to.SetBool(text == "true"); return nil },
	write: func(v reflect.Value) string { return strconv.FormatBool(v.Bool()) },
}

var integer = &scalar{
	wants: "a whole number from 0", tags: []string{"!!int"}, format: "!!int", shape: whole(`0|[1-9][0-9]*`), number: "integer",
	parse: func(text string, to reflect.Value) error {
		n, err := strconv.ParseInt(text, 10, to.Type().Bits())
		to.SetInt(n)
		return err
	},
	write: func(v reflect.Value) string { return strconv.FormatInt(v.Int(), 10) },
}

func whole(expr string) *regexp.Regexp { return regexp.MustCompile(`^(` + expr + `)$`) }

// text is a type of few words that marshals itself.
func text(wants string, words ...string) *scalar {
	s := textOf(wants, textTags, "")
	s.words, s.shape = words, nil
	return s
}

// textOf is a type that marshals itself, and the shape of what it writes.
func textOf(wants string, tags []string, expr string) *scalar {
	return &scalar{
		wants: wants, tags: tags, format: "!!str", shape: whole(expr),
		parse: func(text string, to reflect.Value) error {
			return to.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		},
		write: func(v reflect.Value) string {
			b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			if err != nil {
				return fmt.Sprint(v.Interface())
			}
			return string(b)
		},
	}
}

// fits reports whether a text has the shape of the type.
func (s *scalar) fits(text string) bool {
	switch {
	case s.words != nil:
		return slices.Contains(s.words, text)
	case s.shape != nil:
		return s.shape.MatchString(text)
	}
	return true
}

func weekdays() []string {
	var days []string
	for d := time.Sunday; d <= time.Saturday; d++ {
		days = append(days, d.String())
	}
	return days
}

// span writes a duration without the zeros that time.Duration adds: 1h, not 1h0m0s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseValue reads what formatValue writes.
func parseValue(text string) (severity.Value, error) {
	if text == "unknown" {
		return severity.Value{}, nil
	}
	n, of, ratio := strings.Cut(text, "/")
	whole := int64(1)
	if ratio {
		var err error
		if whole, err = strconv.ParseInt(of, 10, 64); err != nil {
			return severity.Value{}, err
		}
	}
	if percent, ok := strings.CutSuffix(n, "%"); ok {
		v, err := strconv.ParseInt(percent, 10, 64)
		return severity.Percent(v), err
	}
	if v, err := strconv.ParseInt(n, 10, 64); err == nil {
		if ratio {
			return severity.Part(v, whole), nil
		}
		return severity.Number(v), nil
	} else if errors.Is(err, strconv.ErrRange) {
		return severity.Value{}, err
	}
	d, err := time.ParseDuration(n)
	return severity.Value{N: int64(d), Of: whole, Unit: severity.Nanos}, err
}

// formatValue writes a value so that nothing of it is lost.
func formatValue(v severity.Value) string {
	ratio := ""
	if v.Of != 1 {
		ratio = "/" + strconv.FormatInt(v.Of, 10)
	}
	switch {
	case !v.Known():
		return "unknown"
	case v.Unit == severity.Share && v.Of == 100:
		return strconv.FormatInt(v.N, 10) + "%"
	case v.Unit == severity.Share:
		return fmt.Sprintf("%d/%d", v.N, v.Of)
	case v.Unit == severity.Nanos:
		return span(time.Duration(min(v.N, math.MaxInt64))) + ratio
	}
	return strconv.FormatInt(v.N, 10)
}
