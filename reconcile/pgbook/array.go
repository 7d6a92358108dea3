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
