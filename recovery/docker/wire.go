package docker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Split copies a stream in which the engine mixes two into stdout and stderr;
// adapters use it. A writer that is nil discards. A stream that ends within a frame
// is io.ErrUnexpectedEOF: what was cut off is never taken for the whole.
func Split(r io.Reader, stdout, stderr io.Writer) error {
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		size := int64(binary.BigEndian.Uint32(head[4:]))
		var to io.Writer
		switch head[0] {
		case 0, 1:
			to = stdout
		case 2:
			to = stderr
		case 3: // the engine's own error
			text, err := io.ReadAll(io.LimitReader(r, min(size, 4096)))
			return errors.Join(fmt.Errorf("the engine broke off: %s", strings.TrimSpace(string(text))), err)
		default:
			return fmt.Errorf("the engine sent a frame of the unknown stream %d", head[0])
		}
		if to == nil {
			to = io.Discard
		}
		if _, err := io.CopyN(to, r, size); err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
	}
}

// ReadStats reads the engine's answer with one sample; adapters use it. An answer
// without values is ErrNotRunning: a stopped container does not use "nothing"
// (law 1).
func ReadStats(raw []byte) (Stats, error) {
	var in struct {
		Read time.Time `json:"read"`
		CPU  struct {
			Usage struct {
				Total *uint64 `json:"total_usage"`
			} `json:"cpu_usage"`
		} `json:"cpu_stats"`
		Memory struct {
			Usage *uint64           `json:"usage"`
			Limit uint64            `json:"limit"`
			Stats map[string]uint64 `json:"stats"`
		} `json:"memory_stats"`
		PIDs struct {
			Current uint64 `json:"current"`
		} `json:"pids_stats"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return Stats{}, fmt.Errorf("reading the engine's answer: %w", err)
	}
	if in.CPU.Usage.Total == nil || in.Memory.Usage == nil || in.Read.Year() <= 1 {
		return Stats{}, fmt.Errorf("the engine has no values: %w", ErrNotRunning)
	}
	// The cache of files is given up when memory is short: cgroup v2 and v1 name it so.
	cache, ok := in.Memory.Stats["total_inactive_file"]
	if !ok {
		cache = in.Memory.Stats["inactive_file"]
	}
	used := *in.Memory.Usage
	if cache < used {
		used -= cache
	}
	return Stats{At: in.Read, CPU: time.Duration(*in.CPU.Usage.Total), Memory: int64(used), MemoryLimit: int64(in.Memory.Limit), Processes: int64(in.PIDs.Current)}, nil
}

// CheckAPI returns ErrTooOld when the engine's newest API is older than MinAPI or
// cannot be read; adapters use it.
func CheckAPI(version string) error {
	is, err := apiNumber(version)
	if err != nil {
		return &EngineError{Op: "version", Kind: ErrTooOld, Err: err}
	}
	if least, _ := apiNumber(MinAPI); is < least {
		return &EngineError{Op: "version", Kind: ErrTooOld, Err: fmt.Errorf("the engine speaks up to %s", version)}
	}
	return nil
}

func apiNumber(version string) (int, error) {
	major, minor, ok := strings.Cut(version, ".")
	a, err1 := strconv.ParseUint(major, 10, 16)
	b, err2 := strconv.ParseUint(minor, 10, 16)
	if !ok || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("the engine gives its API's version as %q", version)
	}
	return int(a)<<16 | int(b), nil
}
