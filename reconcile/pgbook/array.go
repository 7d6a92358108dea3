package pgbook

import "strings"

// textArray writes texts as PostgreSQL reads an array of them.
func textArray(texts []string) []byte {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b strings.Builder
	b.WriteByte('{')
	for i, t := range texts {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(escape.Replace(t))
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return []byte(b.String())
}

// arena keeps many short texts in few pieces of memory.
type arena struct{ b strings.Builder }

const arenaSize = 64 << 10

func (a *arena) keep(v []byte) string {
	if a.b.Cap()-a.b.Len() < len(v) {
		a.b.Reset()
		a.b.Grow(max(arenaSize, len(v)))
	}
	start := a.b.Len()
	a.b.Write(v)
	return a.b.String()[start:]
}
