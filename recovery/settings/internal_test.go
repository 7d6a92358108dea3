package settings

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestDotenvReadsAsItsReadersDo has what python-dotenv and docker compose agree on.
func TestDotenvReadsAsItsReadersDo(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"A=1":                            {"A": "1"},
		"\ufeffA=1\r\nB=2\r\n":           {"A": "1", "B": "2"},
		"export A=1\n\texport\tB = 2 \n": {"A": "1", "B": "2"},
		"exportA=1":                      {"exportA": "1"},
		"A=":                             {"A": ""},
		"A= \nB=x":                       {"A": "", "B": "x"},
		"A=a b # c":                      {"A": "a b"},
		"A=a#b":                          {"A": "a#b"},
		"A='a # b' # c":                  {"A": "a # b"},
		"A='it\\'s'":                     {"A": "it's"},
		"A=\"two\nlines\"\nB=1":          {"A": "two\nlines", "B": "1"},
		"A=\"a\\nb\\\"c\"":               {"A": "a\nb\"c"},
		"A=1\nA=2":                       {"A": "2"},
		"# A=1\n\n  # B\nC=3":            {"A": "", "C": "3"},
	} {
		d, err := parseEnv([]byte(text))
		require.NoError(t, err, text)
		for name, value := range want {
			c, err := d.get(name)
			require.NoError(t, err)
			require.Equal(t, value, c.Value, "%s in %q", name, text)
		}
	}
	for _, text := range []string{"=1", "A B", "1A=2", "A='x", "A='x' y", `A="x\"`, "A=\x00", "A=a\rb", "A: 1", "A'=1"} {
		_, err := parseEnv([]byte("OK=1\n" + text))
		require.Error(t, err, text)
	}
}

func TestAnyValueIsReadBackOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "A=1", "A\nB=2\n", "A='x\ny' # c\r\nB=2\r\n", "export A=1 # c\n"}).Draw(t, "text")
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a'"\\$ #\n=]{0,8}`)).Draw(t, "value")
		d, err := parseEnv([]byte(text))
		require.NoError(t, err)
		raw, err := d.literal(cell{}, value)
		if err != nil {
			return
		}
		was, err := d.get("A")
		require.NoError(t, err)
		next, err := d.put("A", cell{Present: true, Raw: raw})
		require.NoError(t, err)
		n, err := parseEnv(next)
		require.NoError(t, err, "%q", next)
		got, err := n.get("A")
		require.NoError(t, err)
		require.Equal(t, value, got.Value)
		b, _ := d.get("B")
		b2, _ := n.get("B")
		require.Equal(t, b, b2, "the neighbour is as it was")
		back, err := n.put("A", was)
		require.NoError(t, err)
		again, err := parseEnv(back)
		require.NoError(t, err)
		a, _ := again.get("A")
		require.Equal(t, was, a)
	})
}

func FuzzDotenv(f *testing.F) {
	for _, s := range []string{"A=1\n", "export A='x\ny' # c\r\nB", "\ufeffA=\"\\n\"", "A", "A=#", "A= # c", "'", "A='\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := parseEnv(text)
		if err != nil || len(d.all) > 50 {
			return
		}
		for _, a := range d.all {
			require.LessOrEqual(t, a.start, a.keyEnd)
			require.LessOrEqual(t, a.raw, a.last)
			require.LessOrEqual(t, a.last, a.end)
			same, err := d.put(a.key, mustGet(t, d, a.key))
			require.NoError(t, err)
			require.Equal(t, text, same, "putting back what is there changes nothing")
		}
		next, err := d.put("NEW", cell{Present: true, Raw: "1"})
		require.NoError(t, err)
		n, err := parseEnv(next)
		require.NoError(t, err)
		require.Equal(t, "1", mustGet(t, n, "NEW").Value)
		for _, a := range d.all {
			if a.key != "NEW" {
				require.Equal(t, mustGet(t, d, a.key), mustGet(t, n, a.key))
			}
		}
	})
}

func mustGet(t *testing.T, d document, name string) cell {
	t.Helper()
	c, err := d.get(name)
	require.NoError(t, err)
	return c
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, "{\n}", `{"performance":{}}`, `{"performance":{"batch_size":1e4,"b":[1,{"x":"]"}]}}`, "{\n\t\"a\" : \"\\\"}\" ,\n\t\"performance\":{\"b\":1}\n}", `{"performance":1}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := parseJSON(text)
		if err != nil {
			return
		}
		const path = "performance.batch_size"
		was, err := d.get(path)
		if err != nil {
			return
		}
		next, err := d.put(path, cell{Present: true, Raw: "7"})
		require.NoError(t, err)
		require.True(t, json.Valid(next), "%q", next)
		n, err := parseJSON(next)
		require.NoError(t, err)
		require.Equal(t, "7", mustGet(t, n, path).Raw)
		back, err := n.put(path, was)
		require.NoError(t, err)
		require.True(t, json.Valid(back), "%q", back)
		if was.Present {
			require.Equal(t, text, back)
			return
		}
		b, err := parseJSON(back)
		require.NoError(t, err)
		require.False(t, mustGet(t, b, path).Present)
		require.True(t, bytes.HasPrefix(bytes.TrimSpace(back), []byte("{")))
	})
}

func TestAMemberIsAddedInTheStyleOfItsNeighbours(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                    `{"performance": {"batch_size": 7}}`,
		`{"a":1}`:               `{"a":1,"performance":{"batch_size":7}}`,
		"{\n  \"a\": 1\n}\n":    "{\n  \"a\": 1,\n  \"performance\": {\n    \"batch_size\": 7\n  }\n}\n",
		"{\"performance\": {}}": `{"performance": {"batch_size": 7}}`,
	} {
		d, err := parseJSON([]byte(text))
		require.NoError(t, err)
		got, err := d.put("performance.batch_size", cell{Present: true, Raw: "7"})
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}
