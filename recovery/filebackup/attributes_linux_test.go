package filebackup

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/andon-go/andon/internal/needs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// acl is an access list of POSIX as the kernel takes it: the owner, one other user, the
// group, the mask and all others.
func acl(user uint32) string {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	const undefined = 0xffffffff
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 6, undefined}, {2, 4, user}, {4, 4, undefined}, {16, 4, undefined}, {32, 0, undefined}} {
		b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, e.tag), e.perm), e.id)
	}
	return string(b)
}

func setxattr(t *testing.T, p, name, value string) {
	t.Helper()
	err := unix.Setxattr(p, name, []byte(value), 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		needs.Missing(t, "a file system for %s: %v", name, err)
	}
	require.NoError(t, err)
}

func getxattr(t *testing.T, p, name string) string {
	t.Helper()
	b := make([]byte, 1024)
	n, err := unix.Getxattr(p, name, b)
	if errors.Is(err, unix.ENODATA) {
		return "none"
	}
	require.NoError(t, err)
	return string(b[:n])
}

func TestAttributesAndAccessListsComeBack(t *testing.T) {
	w := newWorld(t).fill(t)
	bot, key := filepath.Join(w.source, "bot.yaml"), filepath.Join(w.source, "keys", "key.pem")
	setxattr(t, bot, "user.origin", "venue\x00=a b")
	setxattr(t, key, "user.empty", "")
	setxattr(t, bot, accessList, acl(1234))
	setxattr(t, filepath.Join(w.source, "keys"), defaultList, acl(99))
	require.NoError(t, os.Chmod(key, 0o400), "what may not be written has attributes too")
	before := look(t, w.source)
	b := w.good(t, noon)
	require.Empty(t, b.Note)

	// What is damaged, and where it is put, have others.
	setxattr(t, bot, "user.origin", "another")
	setxattr(t, bot, "user.more", "x")
	require.NoError(t, unix.Removexattr(bot, accessList))
	setxattr(t, w.dir, defaultList, acl(7))
	p := w.plan(t, Request{})
	require.Contains(t, p.String(), "attributes system.posix_acl_access user.more user.origin")
	_, err := w.restore(t, p)
	require.NoError(t, err)
	require.Equal(t, before, look(t, w.source))
	require.Equal(t, "venue\x00=a b", getxattr(t, bot, "user.origin"))
	require.Equal(t, "none", getxattr(t, bot, "user.more"))
	require.Empty(t, getxattr(t, key, "user.empty"))
	require.Equal(t, acl(1234), getxattr(t, bot, accessList))
	require.Equal(t, acl(99), getxattr(t, filepath.Join(w.source, "keys"), defaultList))
	require.Equal(t, "none", getxattr(t, filepath.Join(w.source, "production.json"), accessList), "what the directory above would give is not what was backed up")
	require.True(t, w.plan(t, Request{}).NothingToDo())
	_, err = w.store.Rehearse(t.Context(), b.Name, noon)
	require.NoError(t, err)
}

func TestAttributesCanBeLeftOutByName(t *testing.T) {
	w := newWorld(t).fill(t)
	bot := filepath.Join(w.source, "bot.yaml")
	setxattr(t, bot, "user.origin", "venue")
	w.good(t, noon)
	setxattr(t, bot, "user.origin", "another")
	require.False(t, w.plan(t, Request{}).NothingToDo())
	w.store.cfg.IgnoreAttributes = true
	require.True(t, w.plan(t, Request{}).NothingToDo())
	w.write(t, "bot.yaml", "leverage: 50\n")
	_, err := w.restore(t, w.plan(t, Request{}))
	require.NoError(t, err)
	require.Equal(t, "none", getxattr(t, bot, "user.origin"))
}

func TestAttributesThatAreNotKeptAreNamed(t *testing.T) {
	w := newWorld(t).fill(t)
	// cap_net_bind_service, permitted and effective, in revision 2
	capability := string(binary.LittleEndian.AppendUint32(nil, 0x02000001)) + "\x00\x04" + string(make([]byte, 14))
	setxattr(t, filepath.Join(w.source, "bot.yaml"), "security.capability", capability)
	b := w.good(t, noon)
	require.Contains(t, b.Note, "bot.yaml")
	require.Contains(t, b.Note, "its attribute security.capability")
	p := w.plan(t, Request{Into: filepath.Join(w.dir, "elsewhere")})
	require.Equal(t, []Loss{{"bot.yaml", "its attribute security.capability"}}, p.NotKept)
	require.Contains(t, p.String(), "security.capability")
	require.False(t, w.plan(t, Request{}).NothingToDo() && len(w.plan(t, Request{}).NotKept) == 0)
}

func TestAttributesAreOneTextAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOf(rapid.StringN(1, 10, -1), rapid.String()).Draw(t, "attributes")
		var list []attribute
		for name, value := range m {
			list = append(list, attribute{"user." + name, value})
		}
		text := makeAttributes(list)
		back, err := text.list()
		require.NoError(t, err)
		require.ElementsMatch(t, list, back)
	})
	for _, bad := range []Attributes{"user.b= user.a=", "security.capability=eA", "user.a=%", "user.%zz=", "user.a= ", "trusted.x="} {
		_, err := bad.list()
		require.Error(t, err, "%q", bad)
	}
}
