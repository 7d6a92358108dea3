package playbook_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andon-go/andon/incident/playbook"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// schema is the generated one, compiled by somebody else's library.
func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := playbook.Schema()
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, c.AddResource("playbook.schema.json", doc))
	s, err := c.Compile("playbook.schema.json")
	require.NoError(t, err)
	return s
}

// instance is a YAML file as an editor gives it to the schema.
func instance(t testing.TB, text string) any {
	t.Helper()
	var n yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &n))
	datesAreTexts(&n)
	var v any
	if len(n.Content) > 0 {
		require.NoError(t, n.Decode(&v))
	}
	b, err := json.Marshal(v)
	require.NoError(t, err)
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	return out
}

// datesAreTexts makes of a date what YAML 1.2, and so an editor, has it for.
func datesAreTexts(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		datesAreTexts(c)
	}
}

func TestTheSchemaTakesTheDocument(t *testing.T) {
	s := schema(t)
	var whole, nothing bytes.Buffer
	require.NoError(t, playbook.Default().EncodeAll(&whole))
	require.NoError(t, playbook.Default().Encode(&nothing))
	require.NoError(t, s.Validate(instance(t, whole.String())))
	require.NoError(t, s.Validate(instance(t, nothing.String())))
	require.NoError(t, s.Validate(instance(t, "")))
}

func TestTheSchemaRefusesWhatLoadRefusesByItsForm(t *testing.T) {
	s := schema(t)
	n := 0
	for _, f := range faults {
		if !f.form {
			continue
		}
		n++
		t.Run(f.name, func(t *testing.T) {
			require.Error(t, s.Validate(instance(t, f.file)), f.file)
		})
	}
	require.Greater(t, n, 30)
}

// TestTheSchemaExplains wants a sentence for every field of ours, since that is what an
// editor shows.
func TestTheSchemaExplains(t *testing.T) {
	text, err := playbook.Schema()
	require.NoError(t, err)
	var root map[string]any
	require.NoError(t, json.Unmarshal(text, &root))
	require.Equal(t, "https://json-schema.org/draft/2020-12/schema", root["$schema"])
	require.NotEmpty(t, root["description"])
	for name, p := range root["properties"].(map[string]any) {
		require.NotEmpty(t, p.(map[string]any)["description"], name)
	}
	severities := root["properties"].(map[string]any)["severities"].(map[string]any)["additionalProperties"].(map[string]any)
	respond := severities["properties"].(map[string]any)["respond"].(map[string]any)
	require.Equal(t, "Respond is within which time of the declaration somebody answers. It cannot be set: package severity keeps the targets.", respond["description"])
}

// TestTheFilesAreCurrent compares what is committed with what is generated; -update writes it.
func TestTheFilesAreCurrent(t *testing.T) {
	text, err := playbook.Schema()
	require.NoError(t, err)
	var whole bytes.Buffer
	whole.WriteString("# The whole playbook, which is the document. A bot's own file states only what differs.\n# yaml-language-server: $schema=playbook.schema.json\n")
	require.NoError(t, playbook.Default().EncodeAll(&whole))
	for name, want := range map[string][]byte{"playbook.schema.json": text, "default.yaml": whole.Bytes()} {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, want, 0o644))
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err, "write it by go test ./incident/playbook -update")
		require.Equal(t, string(want), string(got), "%s is not current: go test ./incident/playbook -update", name)
	}
	p, err := playbook.LoadFile("testdata/default.yaml")
	require.NoError(t, err)
	require.Equal(t, playbook.Default(), p)
}

func TestTheExampleIsLoadedAndFitsTheSchema(t *testing.T) {
	text, err := os.ReadFile("testdata/andon.yaml")
	require.NoError(t, err)
	p, err := playbook.Load(bytes.NewReader(text))
	require.NoError(t, err)
	require.NoError(t, schema(t).Validate(instance(t, string(text))))
	for group, contacts := range p.Contacts {
		for name, line := range contacts {
			require.False(t, strings.Contains(line, "XXX"), "%s.%s is a placeholder", group, name)
		}
	}
	require.NoError(t, p.Escalation.Validate(p.Directory("email", "pagerduty"), "email", "pagerduty"), "everybody can be reached")
}
