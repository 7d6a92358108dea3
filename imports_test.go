package andon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/andon-go/andon"

// arrows says which packages of ours a package may import, besides internal/*. A
// package that is not here may import its nearest parent that is, the folders
// between them, and what that parent may import: X/<system> -> X.
var arrows = map[string][]string{
	".":         {},
	"severity":  {},
	"recovery":  {},
	"safety":    {"."},
	"reconcile": {"."},
	"notify":    {"severity"},
	"incident":  {"notify", "severity", "."}, // the root: what an incident has cost is money

	"andontest":               {"."},
	"safety/safetytest":       {"safety", ".", "andontest"},
	"reconcile/reconciletest": {"reconcile", ".", "andontest"},

	"incident/runbook": {"incident", "notify", "severity", "safety", "reconcile", "recovery", "."},
	"incident/console": {"incident/runbook", "incident", "notify", "severity", "safety", "reconcile", "recovery", "."}, // runbook: it shows a run, whose type is runbook's, and asks its engine
	"incident/playbook": {
		"incident/runbook", "incident/detect", "incident/evidence", "incident/postmortem", "incident/console",
		"incident", "notify", "severity", "safety", "reconcile", "recovery", ".",
	},
}

// modules says which modules of others a core may import directly. Whoever embeds a
// core links what stands here, so a new line needs a reason.
var modules = map[string][]string{
	".":                 {"github.com/quagmt/udecimal"},
	"severity":          {},
	"recovery":          {"filippo.io/age", "github.com/klauspost/compress", "go.opentelemetry.io/otel", "golang.org/x/sys"},
	"safety":            {"github.com/fsnotify/fsnotify", "github.com/gofrs/flock", "go.opentelemetry.io/otel", "golang.org/x/sys"},
	"reconcile":         {"github.com/gofrs/flock", "go.opentelemetry.io/otel"},
	"notify":            {"github.com/cenkalti/backoff/v4", "go.opentelemetry.io/otel"},
	"incident":          {"github.com/cenkalti/backoff/v4", "github.com/gofrs/flock", "go.opentelemetry.io/otel", "golang.org/x/sys"},
	"incident/runbook":  {"go.opentelemetry.io/otel"},
	"incident/console":  {"go.opentelemetry.io/otel"},
	"incident/playbook": {"go.opentelemetry.io/otel", "go.yaml.in/yaml/v4"},
}

// heavy are the modules that no core may link, not even through another module.
// fsnotify is safety's own, for the flag files.
var heavy = []string{
	"github.com/jackc/pgx", "github.com/docker/", "github.com/moby/", "github.com/slack-go/", "github.com/PagerDuty/",
	"github.com/wneessen/go-mail", "github.com/redis/", "github.com/shirou/gopsutil", "go.etcd.io/", "google.golang.org/grpc",
	"go.opentelemetry.io/otel/sdk", "github.com/fsnotify/fsnotify",
}

// support are our packages that only tests may import.
var support = []string{"internal/crashtest", "internal/loopback", "internal/needs", "internal/pgtest", "internal/mutants", "internal/fleetdrill"}

// breaks is the example that breaks things on purpose, as tests do, and so builds on what
// they build on.
const breaks = "examples/gameday"

// testOnly are the modules that only tests may import.
var testOnly = []string{"github.com/stretchr/testify", "pgregory.net/rapid", "go.uber.org/goleak"}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string // of the package itself, without its tests
}

// graph is every package that ours are built from, by import path.
type graph map[string]listed

func TestImportsFollowTheArrows(t *testing.T) {
	g := load(t)
	require.Contains(t, g, module+"/safety", "the graph holds the packages of the module")
	require.Contains(t, g, "github.com/quagmt/udecimal", "the graph holds what they import")
	require.Empty(t, violations(g))
}

// load reads the import graph of the whole module.
func load(t *testing.T) graph {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	g := graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return g
		}
		require.NoError(t, err)
		g[p.ImportPath] = p
	}
}

// violations returns each import that breaks a rule, as one sentence.
func violations(g graph) []string {
	var out []string
	for _, p := range slices.Sorted(maps.Keys(g)) {
		name, ours := local(p)
		if !ours || slices.Contains(support, name) {
			continue
		}
		for _, imp := range g[p].Imports {
			if why := direct(g, name, imp); why != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", name, imp, why))
			}
		}
		out = append(out, linked(g, name, p)...)
	}
	return out
}

// local returns the path of one of our packages inside the module, "." for the root.
func local(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// direct judges one import; empty means that it is allowed.
func direct(g graph, name, imp string) string {
	to, ours := local(imp)
	switch {
	case ours && slices.Contains(support, to) && name != breaks:
		return "only tests may"
	case ours:
		return arrow(name, to)
	case g[imp].Standard:
		return ""
	case isTestPackage(name):
		return "a package for other people's tests uses only the standard library and ours"
	}
	allowed, core := modules[name]
	if core && !slices.ContainsFunc(allowed, func(m string) bool { return within(imp, m) }) {
		return "no module of others that this core may link"
	}
	return ""
}

// arrow judges an import of one of our packages by another.
func arrow(from, to string) string {
	switch {
	case within(from, "examples"):
		return ""
	case within(to, "examples"):
		return "nothing imports an example"
	case within(to, "internal"):
		return ""
	case within(from, "internal"):
		return "internal packages import only each other"
	}
	allowed, ok := mayImport(from)
	if !ok {
		return "the package stands in no place of design.md"
	}
	if !slices.Contains(allowed, to) {
		return "no such arrow in design.md"
	}
	return ""
}

// mayImport returns what a package may import of ours. It is false for one that has no place.
func mayImport(name string) ([]string, bool) {
	allowed, ok := arrows[name]
	var between []string
	for parent := name; !ok && parent != "."; {
		parent = path.Dir(parent)
		if parent == "." {
			return nil, false
		}
		between = append(between, parent)
		allowed, ok = arrows[parent]
	}
	return append(between, allowed...), true
}

// linked returns what a package links, directly or not, and must not.
func linked(g graph, name, p string) []string {
	var out []string
	_, core := modules[name]
	for dep := range g.closure(p) {
		if !isTestPackage(name) && (within(dep, "testing") && name != breaks || slices.ContainsFunc(testOnly, func(m string) bool { return within(dep, m) })) {
			out = append(out, fmt.Sprintf("%s links %s: production packages never import what is for tests", name, dep))
		}
		theirs := name == "safety" || name == "incident/runbook" || name == "incident/console" || name == "incident/playbook"
		for _, h := range heavy {
			if core && strings.HasPrefix(dep, h) && !(theirs && within(dep, "github.com/fsnotify/fsnotify")) {
				out = append(out, fmt.Sprintf("%s links %s: it belongs one level down, in a package named after the system", name, dep))
			}
		}
	}
	slices.Sort(out)
	return out
}

// closure returns everything that a package links besides itself.
func (g graph) closure(p string) map[string]bool {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(p string) {
		for _, imp := range g[p].Imports {
			if !seen[imp] {
				seen[imp] = true
				walk(imp)
			}
		}
	}
	walk(p)
	return seen
}

// isTestPackage reports whether a package is for other people's tests: safetytest and its like.
func isTestPackage(name string) bool {
	return strings.HasSuffix(name, "test") && !within(name, "internal")
}

// within reports whether an import path is a module or folder, or lies below it.
func within(p, parent string) bool { return p == parent || strings.HasPrefix(p, parent+"/") }

func TestImportsRulesCatchPlantedViolations(t *testing.T) {
	const (
		fsnotify = "github.com/fsnotify/fsnotify"
		pgx      = "github.com/jackc/pgx/v5"
	)
	for _, tc := range []struct {
		name, from, to, want string
	}{
		{"core to core", "safety", module + "/incident", "no such arrow"},
		{"core to core of the same rank", "reconcile", module + "/safety", "no such arrow"},
		{"severity to the vocabulary", "severity", module, "no such arrow"},
		{"recovery to the vocabulary", "recovery", module, "no such arrow"},
		{"vocabulary to a core", ".", module + "/severity", "no such arrow"},
		{"notify upwards", "notify", module + "/incident", "no such arrow"},
		{"incident to the cord", "incident", module + "/safety", "no such arrow"},
		{"core to its system", "reconcile", module + "/reconcile/coinbase", "no such arrow"},
		{"system to a sister", "incident/pgstore", module + "/incident/journal", "no such arrow"},
		{"system to another core", "recovery/docker", module + "/safety", "no such arrow"},
		{"playbook below a core", "incident/playbook", module + "/recovery/docker", "no such arrow"},
		{"runbook to playbook", "incident/runbook", module + "/incident/playbook", "no such arrow"},
		{"a folder nobody planned", "util", module, "no place"},
		{"core to an example", "safety", module + "/examples/paperbot", "nothing imports an example"},
		{"internal outwards", "internal/atomicfile", module + "/safety", "internal packages"},
		{"production to test support", "safety", module + "/internal/crashtest", "only tests may"},
		{"example to test support", "examples/paperbot", module + "/internal/pgtest", "only tests may"},
		{"production to testing", "notify", "testing", "never import what is for tests"},
		{"production to testing/fstest", "recovery/filebackup", "testing/fstest", "never import what is for tests"},
		{"production to testify", "incident/journal", "github.com/stretchr/testify/require", "never import what is for tests"},
		{"test package to testify", "safety/safetytest", "github.com/stretchr/testify/require", "only the standard library"},
		{"core to a database", "incident", pgx, "no module of others"},
		{"core to a database through another", "safety", "golang.org/x/sys/viapgx", "belongs one level down"},
		{"core to another's watcher", "recovery", fsnotify, "no module of others"},
		{"severity to anything", "severity", "golang.org/x/sys/unix", "no module of others"},
		{"core to a neighbour of a module's name", "safety", "github.com/fsnotify/fsnotify2", "no module of others"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			from := path.Join(module, tc.from)
			g := graph{
				from:                        {Imports: []string{"context", tc.to}},
				"context":                   {Standard: true},
				"testing":                   {Standard: true},
				"testing/fstest":            {Standard: true},
				"golang.org/x/sys/viapgx":   {Imports: []string{pgx}},
				module + "/safety":          {},
				module + "/internal/pgtest": {Imports: []string{"testing"}},
			}
			g[from] = listed{Imports: []string{"context", tc.to}}
			got := violations(g)
			require.NotEmpty(t, got)
			require.Contains(t, strings.Join(got, "\n"), tc.want)
		})
	}
}

func TestImportsRulesAllowTheArrows(t *testing.T) {
	for from, imports := range map[string][]string{
		"safety":               {module, module + "/internal/atomicfile", "github.com/fsnotify/fsnotify", "golang.org/x/sys/unix"},
		"reconcile/coinbase":   {module, module + "/reconcile", "github.com/cenkalti/backoff/v4"},
		"safety/fleet/pgfleet": {module, module + "/safety", module + "/safety/fleet", "github.com/jackc/pgx/v5"},
		"safety/safetytest":    {"testing", module + "/safety"},
		"incident/journal":     {module + "/incident", module + "/severity", "golang.org/x/sys/unix"},
		"incident/playbook":    {module + "/incident/runbook", module + "/safety", "go.yaml.in/yaml/v4"},
		"examples/paperbot":    {module + "/safety", module + "/incident/journal", "github.com/alecthomas/kong"},
		"internal/crashtest":   {"testing", module + "/internal/needs"},
	} {
		g := graph{"testing": {Standard: true}}
		g[path.Join(module, from)] = listed{Imports: imports}
		require.Empty(t, violations(g), from)
	}
}
