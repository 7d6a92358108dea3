package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// loginSize is that of a record of wtmp on Linux, see utmp(5).
const loginSize = 384

// logins reads wtmp, the latest first. It is only a file: whoever is root can alter it, and
// a container keeps none.
func (c Config) logins(ctx context.Context) (string, error) {
	b, cut, err := lastBytes(c.Wtmp, int64(c.MaxLines)*loginSize, loginSize)
	if err != nil {
		return "", fmt.Errorf("logins: %w: who has logged in is not known", err)
	}
	kinds := map[uint16]string{1: "run level", 2: "boot", 3: "clock set, before", 4: "clock set, after", 5: "init", 6: "waits for a login", 7: "login", 8: "logout"}
	var rows [][]any
	for end := len(b) / loginSize * loginSize; end > 0; end -= loginSize {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		r := b[end-loginSize : end]
		n := binary.LittleEndian.Uint16(r)
		kind, ok := kinds[n]
		if !ok {
			kind = fmt.Sprintf("type %d", n)
		}
		at := time.Unix(int64(binary.LittleEndian.Uint32(r[340:])), int64(binary.LittleEndian.Uint32(r[344:]))*1000).UTC()
		rows = append(rows, []any{at.Format(time.RFC3339), kind, words(r[44:76]), words(r[8:40]), words(r[76:332]), binary.LittleEndian.Uint32(r[4:])})
	}
	if len(b)%loginSize != 0 {
		err = fmt.Errorf("logins: %s has %d bytes more than whole records: it was cut or altered", c.Wtmp, len(b)%loginSize)
	}
	if len(rows) == 0 {
		return "nobody has logged in since " + c.Wtmp + " was begun\n", err
	}
	text, terr := table(len(rows), "AT\tWHAT\tUSER\tTERMINAL\tFROM\tPID", rows)
	if cut {
		text += "older ones are left out\n"
	}
	return text, errors.Join(err, terr)
}

func words(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// lastBytes reads the end of a file: at most so many bytes, from a multiple of unit on.
func lastBytes(path string, most, unit int64) (b []byte, cut bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s is no regular file", path)
	}
	from := int64(0)
	if info.Size() > most {
		from = (info.Size() - most) / unit * unit
	}
	b, err = io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	return b, from > 0, err
}

// history returns the last 100 lines of each shell's history. What a shell that still runs
// has in its memory only is not there.
func (c Config) history(ctx context.Context) (string, error) {
	const most, bytesOf = 100, 64 << 10
	var out strings.Builder
	var errs []error
	found := 0
	for _, path := range c.Histories {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		b, _, err := lastBytes(path, bytesOf, 1)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("history: %w", err))
			continue
		}
		found++
		last := tail{most: most}
		for line := range strings.Lines(string(b)) {
			last.add(oneLine.Replace(strings.TrimRight(line, "\r\n")))
		}
		fmt.Fprintf(&out, "%s:\n%s", path, last.String())
	}
	if found == 0 {
		errs = append(errs, fmt.Errorf("history: none of %s is there: what was typed is not known", strings.Join(c.Histories, ", ")))
	}
	return out.String(), errors.Join(errs...)
}

// journal is the program that reads the system's journal.
const journal = "journalctl"

func (c Config) systemLog(ctx context.Context, since time.Duration) (string, error) {
	program, err := exec.LookPath(journal)
	if err != nil {
		return "", fmt.Errorf("system log: %w: read the log of %s where this system keeps it", err, c.Unit)
	}
	from := time.Now().Add(-since).Unix()
	cmd := exec.CommandContext(ctx, program, "--no-pager", "--quiet", "--unit="+c.Unit, "--since=@"+strconv.FormatInt(from, 10), "--output=short-iso", "--lines="+strconv.Itoa(c.MaxLines))
	cmd.WaitDelay = time.Second
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	said := strings.TrimSpace(complaints.String())
	if err != nil {
		return string(out), fmt.Errorf("system log: %s: %w: %s", journal, err, said)
	}
	if len(out) > 0 {
		return string(out), nil
	}
	if said != "" {
		return "", fmt.Errorf("system log: %s: %s", journal, said)
	}
	// Nothing was said: that is an answer only where there is a journal at all.
	some, err := exec.CommandContext(ctx, program, "--no-pager", "--quiet", "--lines=1").Output()
	if err != nil || len(bytes.TrimSpace(some)) == 0 {
		return "", errors.Join(errors.New("system log: there is no journal on this machine that this process may read"), err)
	}
	return fmt.Sprintf("the journal has no line of %s in the last %v\n", c.Unit, since), nil
}

// eachLine calls f with every line of r, without its end. A longer one than 64 KiB is cut.
func eachLine(ctx context.Context, r io.Reader, f func(line []byte)) error {
	const longest = 64 << 10
	in := bufio.NewReaderSize(r, longest)
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			f(bytes.TrimRight(line, "\r\n"))
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n') // the rest of a long line
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
