package console

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// visible returns text as a page may show it: what no reader sees but what changes how the
// rest is read (marks of direction, characters without a width, control characters) is
// spelled out, as \u202e. The joiners that scripts and emoji are written with stay.
func visible[T string | []byte](text T) T {
	b, from := []byte(nil), 0
	s := string(text)
	for i, r := range s {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(s[i:])
		}
		if shown(r) && (r != utf8.RuneError || size > 1) {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + size
		switch {
		case r == utf8.RuneError:
			b = utf8.AppendRune(b, r)
		case r > 0xFFFF:
			b = fmt.Appendf(b, `\U%08x`, r)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	if from == 0 {
		return text
	}
	return T(append(b, s[from:]...))
}

// shown reports whether a reader sees a character, or is meant not to.
func shown(r rune) bool {
	switch {
	case ' ' <= r && r <= '~', r == '\n', r == '\t', r == '\r', r == '\u200c', r == '\u200d':
		return true
	}
	return unicode.IsGraphic(r)
}
