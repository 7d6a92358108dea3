package filebackup

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/andon-go/andon/internal/frame"
)

func sampleManifest() Manifest {
	sum := strings.Repeat("0a", 32)
	return Manifest{
		Name: "backup_20260304_150405", Component: "Configuration", At: noon, CompletedAt: noon.Add(time.Second), Host: "h",
		Sources: []Path{"/config", "/etc/bot.env"}, Versions: map[string]string{"bot": "1"},
		Entries: []Entry{
			{Path: "config", Kind: Dir, Mode: 0o750, ModTime: noon},
			{Path: "config/a", Kind: File, Mode: 0o600, UID: 1, GID: 2, ModTime: noon, Size: 3, SHA256: sum},
			{Path: "config/l", Kind: Link, Target: "../\xff"},
			{Path: "etc/bot.env", Kind: File, Mode: 0o4600, UID: -1, GID: -1, ModTime: noon, SHA256: sum},
		},
	}
}

func encoded(t testing.TB, m Manifest) []byte {
	t.Helper()
	data, err := frame.Encode("manifest", m)
	require.NoError(t, err)
	return data
}

func TestAManifestComesBackEqual(t *testing.T) {
	m := sampleManifest()
	back, err := decodeManifest(encoded(t, m))
	require.NoError(t, err)
	require.Equal(t, m, back)
}

func TestAManifestThatCannotBeRightIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Manifest)
		says   string
	}{
		"name":                      {func(m *Manifest) { m.Name = "../x" }, `name "../x" is not that of a backup`},
		"component":                 {func(m *Manifest) { m.Component = "" }, "component is empty"},
		"at":                        {func(m *Manifest) { m.At = time.Time{} }, "at or completed_at is missing"},
		"sources":                   {func(m *Manifest) { m.Sources = nil }, "sources: there are none"},
		"relative source":           {func(m *Manifest) { m.Sources[0] = "config" }, `"config" is not an absolute path`},
		"source leaves":             {func(m *Manifest) { m.Sources[0] = "/../config" }, "is not an absolute path"},
		"source not there":          {func(m *Manifest) { m.Sources[0] = "/confix" }, `entry "config" is in no directory of the backup`},
		"source has nothing":        {func(m *Manifest) { m.Sources = append(m.Sources, "/other") }, `source "/other" has no entry`},
		"source is a link":          {func(m *Manifest) { m.Entries[3] = Entry{Path: "etc/bot.env", Kind: Link, Target: "x"} }, "a source is a link"},
		"same as what is not there": {func(m *Manifest) { m.Entries[1].Same = "config/0" }, "is not the same file"},
		"same as a later one":       {func(m *Manifest) { m.Entries[1].Same = "config/b" }, "cannot be another name"},
		"same as another source's": {func(m *Manifest) {
			m.Entries[3] = m.Entries[1]
			m.Entries[3].Path, m.Entries[3].Same = "etc/bot.env", "config/a"
		}, "is not the same file"},
		"same and yet different": {func(m *Manifest) {
			m.Entries[2] = m.Entries[1]
			m.Entries[2].Path, m.Entries[2].Same, m.Entries[2].Mode = "config/b", "config/a", 0o644
		}, "is not the same file"},
		"attribute of the kernel": {func(m *Manifest) { m.Entries[1].Attributes = "security.capability=eA" }, "of no kind that is kept"},
		"attribute of a link":     {func(m *Manifest) { m.Entries[2].Attributes = "user.a=eA" }, "no attributes that can be kept"},
		"path leaves":             {func(m *Manifest) { m.Entries[1].Path = "config/../../a" }, "path leaves the backup"},
		"path is absolute":        {func(m *Manifest) { m.Entries[1].Path = "/a" }, "path leaves the backup"},
		"path is doubled":         {func(m *Manifest) { m.Entries[1].Path = "config//a" }, "path leaves the backup"},
		"zero byte":               {func(m *Manifest) { m.Entries[1].Path = "config/\x00" }, "path leaves the backup"},
		"order":                   {func(m *Manifest) { slices.Reverse(m.Entries[1:3]) }, `"config/a" is not in its order`},
		"twice":                   {func(m *Manifest) { m.Entries[2] = m.Entries[1] }, `"config/a" is not in its order`},
		"no such directory":       {func(m *Manifest) { m.Entries[1].Path = "config/d/a" }, "is in no directory of the backup"},
		"below a link":            {func(m *Manifest) { m.Entries[2].Path = "config/a/l" }, "is in no directory of the backup"},
		"kind":                    {func(m *Manifest) { m.Entries[1].Kind = "pipe" }, `kind "pipe" is not file, dir or link`},
		"sum":                     {func(m *Manifest) { m.Entries[1].SHA256 = "0a" }, `sha256 "0a" is not one`},
		"no sum":                  {func(m *Manifest) { m.Entries[1].SHA256 = "" }, `sha256 "" is not one`},
		"size":                    {func(m *Manifest) { m.Entries[1].Size = -1 }, "size is -1"},
		"directory's size":        {func(m *Manifest) { m.Entries[0].Size = 1 }, "a dir has a size or a sha256"},
		"owner":                   {func(m *Manifest) { m.Entries[1].UID = -2 }, "owner is -2"},
		"time":                    {func(m *Manifest) { m.Entries[1].ModTime = time.Time{} }, "mod_time of a file"},
		"link's time":             {func(m *Manifest) { m.Entries[2].ModTime = noon }, "mod_time of a link"},
		"link's target":           {func(m *Manifest) { m.Entries[2].Target = "" }, "target of a link"},
		"file's target":           {func(m *Manifest) { m.Entries[1].Target = "x" }, "target of a file"},
		"mode":                    {func(m *Manifest) { m.Entries[1].Mode = 0o10000 }, "is not octal between 0000 and 7777"},
	} {
		t.Run(name, func(t *testing.T) {
			m := sampleManifest()
			c.change(&m)
			_, err := decodeManifest(encoded(t, m))
			require.ErrorContains(t, err, c.says)
		})
	}
	body := func(change func(string) string) []byte {
		_, text, _ := strings.Cut(string(encoded(t, sampleManifest())), "\n")
		b := []byte(change(text))
		return append(manifestHeader(b), b...)
	}
	for _, c := range []struct{ old, new, says string }{
		{`"host"`, `"hoost"`, `unknown field "hoost"`},
		{`"host"`, `"Host"`, "not in the form in which it was written"},
		{"\n}\n", "\n}\n{}\n", "not in the form in which it was written"},
		{"\n}\n", "\n", "EOF"},
		{`"0750"`, `"0x1"`, `mode "0x1" is not octal`},
		{`"0750"`, `"750"`, "not in the form in which it was written"},
		{`"../\\xff"`, `"\\xgg"`, "is not well escaped"},
	} {
		data := body(func(s string) string {
			require.Contains(t, s, c.old)
			return strings.Replace(s, c.old, c.new, 1)
		})
		_, err := decodeManifest(data)
		require.ErrorContains(t, err, c.says, "%s becomes %s", c.old, c.new)
	}
}

func TestAnyPathComesBackEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Path(rapid.SliceOf(rapid.Byte()).Draw(t, "path"))
		data, err := json.Marshal(p)
		require.NoError(t, err)
		var back Path
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, p, back)
		require.NotContains(t, p.String(), "\n")
	})
}

func TestAnyModeComesBackEqual(t *testing.T) {
	for m := Mode(0); m <= maxMode; m++ {
		text, err := m.MarshalText()
		require.NoError(t, err)
		var back Mode
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, m, back)
		require.Equal(t, m, modeOf(m.fileMode()))
	}
}

// FuzzManifest feeds the decoder, both as it comes and with a right first line, so
// that what lies behind the checksum is reached.
func FuzzManifest(f *testing.F) {
	data := encoded(f, sampleManifest())
	_, body, _ := strings.Cut(string(data), "\n")
	f.Add(data)
	f.Add([]byte(body))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, data := range [][]byte{in, append(manifestHeader(in), in...)} {
			m, err := decodeManifest(data)
			if err != nil {
				require.Zero(t, m, "nothing comes with an error")
				continue
			}
			require.Equal(t, data, encoded(t, m), "there is one text for a manifest")
			for _, e := range m.Entries {
				require.NotContains(t, strings.Split(string(e.Path), "/"), "..")
				require.False(t, strings.HasPrefix(string(e.Path), "/"))
			}
		}
	})
}

func manifestHeader(body []byte) []byte {
	return fmt.Appendf(nil, "andon-manifest 1 sha256:%s\n", frame.Digest(body))
}
