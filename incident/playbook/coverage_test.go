package playbook_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/andon-go/andon/incident/playbook"
	"github.com/stretchr/testify/require"
)

// bare is a line of the document, or of a row, without what only marks it up.
func bare(line string) string {
	line = strings.TrimSpace(line)
	if m := regexp.MustCompile(`^(?:- \[ \] |- |\d+\. |#+ |-- )(.+)$`).FindStringSubmatch(line); m != nil {
		line = m[1]
	}
	line = regexp.MustCompile(`\s+# .+$`).ReplaceAllString(line, "") // a comment behind a command
	return strings.TrimSpace(strings.ReplaceAll(line, "**", ""))
}

// rowsOfTheDocument returns every line that says something to do, or something that is so.
func rowsOfTheDocument(t testing.TB) []string {
	doc := document(t)
	_, doc, found := strings.Cut(doc, "### Key Principles")
	require.True(t, found)
	var lines []string
	code, kind, report := false, "", false
	for line := range strings.Lines(doc) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "## ") {
			report = line == "## Post-Mortem Template"
		}
		switch text := bare(line); {
		case strings.HasPrefix(line, "```"):
			code = !code
			kind = strings.TrimPrefix(line, "```")
		case line == "" || line == "↓" || line == "---" || strings.HasPrefix(line, "|--"):
		case report: // the template: headings and fields; what stands in brackets is for people
			if m := regexp.MustCompile(`^(?:- )?\*\*(.+?)\*\*(?:: | - )(.+)$`).FindStringSubmatch(line); m != nil && m[1] != "HH:MM" {
				lines = append(lines, m[1])
			} else if m != nil {
				lines = append(lines, m[2])
			} else if strings.HasPrefix(line, "### ") {
				lines = append(lines, text)
			}
		case code && kind == "yaml":
			lines = append(lines, strings.SplitN(line, ":", 2)[0])
		case code && strings.HasPrefix(line, "/") || code && strings.HasPrefix(line, ".env"):
			lines = append(lines, strings.Fields(line)[0])
		case code:
			lines = append(lines, text)
		case strings.HasPrefix(line, "| Severity |") || strings.HasPrefix(line, "| Component |"):
		case strings.HasPrefix(line, "|"):
			lines = append(lines, strings.TrimSpace(strings.Split(line, "|")[1]))
		case regexp.MustCompile(`^(- |\d+\. )`).MatchString(line):
			lines = append(lines, text)
		case strings.HasPrefix(line, "**Definition**"):
			lines = append(lines, strings.TrimPrefix(text, "Definition: "))
		}
	}
	require.Greater(t, len(lines), 300)
	return lines
}

func TestEveryRowOfTheDocumentIsCovered(t *testing.T) {
	rows, err := playbook.Coverage()
	require.NoError(t, err)
	covered := map[string]bool{}
	for _, r := range rows {
		for _, l := range r.Lines {
			covered[bare(l)] = true
		}
	}
	principle := regexp.MustCompile(`^([A-Z][\w ]+): `)
	var missing []string
	for _, line := range rowsOfTheDocument(t) {
		short := principle.FindStringSubmatch(line)
		if !covered[line] && (short == nil || !covered[short[1]]) {
			missing = append(missing, line)
		}
	}
	require.Empty(t, missing, "rows of the document that nothing does:\n%s", strings.Join(missing, "\n"))
}

// TestWhatCoversARowIsThere looks for each symbol and each test of the table in the tree.
func TestWhatCoversARowIsThere(t *testing.T) {
	rows, err := playbook.Coverage()
	require.NoError(t, err)
	folders := map[string]string{"safety": "safety", "severity": "severity", "notify": "notify", "incident": "incident", "recovery": "recovery", "reconcile": "reconcile",
		"detect": "incident/detect", "runbook": "incident/runbook", "evidence": "incident/evidence", "postmortem": "incident/postmortem", "playbook": "incident/playbook"}
	sources := map[string]string{}
	source := func(folder string, tests bool) string {
		key := folder + map[bool]string{true: " tests", false: ""}[tests]
		if _, ok := sources[key]; !ok {
			files, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
			require.NoError(t, err)
			for _, f := range files {
				if strings.HasSuffix(f, "_test.go") == tests {
					b, err := os.ReadFile(f)
					require.NoError(t, err)
					sources[key] += string(b)
				}
			}
		}
		return sources[key]
	}
	botops, err := filepath.Glob("../../examples/botops/*.go")
	require.NoError(t, err)
	var commands strings.Builder
	for _, f := range botops {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		commands.WriteString(strings.ToLower(string(b)))
	}
	for _, r := range rows {
		require.NotEmpty(t, r.Section)
		require.NotEmpty(t, r.Lines, r.Section)
		parts := strings.Split(r.Does, ".")
		require.Contains(t, folders, parts[0], r.Does)
		text := source(folders[parts[0]], false)
		if len(parts) == 3 {
			require.True(t, in(text, `(?m)^func \(\w+ \*?`+parts[1]+`\) `+parts[2]+`\(`), "%s: there is no such method", r.Does)
		} else {
			require.True(t, in(text, `(?m)^(func|type) `+parts[1]+`\b`), "%s: there is no such name", r.Does)
		}
		folder, name, found := strings.Cut(r.Test, " ")
		require.True(t, found, r.Test)
		require.True(t, in(source(folder, true), `(?m)^func `+name+`\w*\(t \*testing\.T\)`), "%s: there is no such test", r.Test)
		if commands.String() != "" && r.Command != "" {
			command := strings.Fields(strings.TrimPrefix(r.Command, "CONFIRM=yes "))[0]
			require.True(t, in(commands.String(), `\b(`+regexp.QuoteMeta(command)+`|`+strings.ReplaceAll(command, "-", "")+`)\b`), "botops has no command %s", command)
		}
	}
}

// in reports whether a pattern is in a source.
func in(source, pattern string) bool { return regexp.MustCompile(pattern).MatchString(source) }

// TestTheTableInREADMEIsCurrent compares README's table, once it stands there.
func TestTheTableInREADMEIsCurrent(t *testing.T) {
	table, err := playbook.CoverageTable()
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	head, _, _ := strings.Cut(table, "\n")
	_, rest, there := strings.Cut(string(readme), head+"\n")
	if *update {
		require.NoError(t, os.WriteFile("testdata/coverage.md", []byte(table), 0o644))
	}
	kept, err := os.ReadFile("testdata/coverage.md")
	require.NoError(t, err)
	require.Equal(t, table, string(kept), "testdata/coverage.md is not current: go test ./incident/playbook -update")
	if there {
		body, _, _ := strings.Cut(rest, "\n\n")
		require.Equal(t, strings.TrimSpace(table), head+"\n"+strings.TrimSpace(body), "README's table is not current: it is testdata/coverage.md")
	}
}
