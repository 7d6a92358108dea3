package playbook

import (
	"reflect"
	"regexp"
	"strings"
	"unicode"
)

// field is a field of a struct as a file has it.
type field struct {
	index int
	name  string
	fixed string // who keeps the value, where none can be set
}

// fields are those of a struct that a file may have.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			all = append(all, field{i, snake(f.Name), f.Tag.Get("fixed")})
		}
	}
	return all
}

// known are the words that a name of several capitals is cut into.
var known = regexp.MustCompile(`URLs|WebSocket|RTO|RPO|RSS|DB|2FA|CPUs|CPU|TTL|IO|API|[A-Z][a-z]*|[0-9]+`)

// snake writes the name of a field as a file has it: RespondBy as respond_by.
func snake(name string) string {
	var parts []string
	for _, word := range known.FindAllString(name, -1) {
		parts = append(parts, strings.Map(unicode.ToLower, word))
	}
	return strings.Join(parts, "_")
}
