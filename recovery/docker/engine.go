package docker

import (
	"context"
	"encoding/json"
	"io"
	"time"
)

// Engine is what this package asks of a container engine: single calls, without
// judgement. Client is the default one; package mobyengine, in a module of its own,
// stands on Moby's newer client. Package dockertest has the suite that one of your
// own must pass.
//
// A container is named by its ID or its name. Errors are *EngineError: ErrEngineGone
// when the engine does not answer, ErrTooOld when its API is older than MinAPI,
// ErrNotFound, ErrConflict and ErrNotRunning as their texts say. An engine is safe
// for concurrent use.
type Engine interface {
	// Version says which engine answers.
	Version(ctx context.Context) (Version, error)

	// Objects lists what carries all of the labels, each "key" or "key=value",
	// containers that do not run included. Without a label it lists everything.
	Objects(ctx context.Context, kind Kind, labels ...string) ([]Object, error)

	// Inspect reads one container.
	Inspect(ctx context.Context, container string) (Container, error)

	// Image reads one image, by reference or ID.
	Image(ctx context.Context, ref string) (Image, error)

	// Create makes a container and does not start it. When it fails there is none.
	Create(ctx context.Context, spec Spec) (id string, err error)

	// Start starts a container; one that runs already is no error.
	Start(ctx context.Context, container string) error

	// Stop asks a container to end, and kills it after the grace. One that does not
	// run is no error. The engine's restart policy does not bring it back.
	Stop(ctx context.Context, container string, grace time.Duration) error

	// Signal sends a signal, such as "SIGKILL", to the first process of a container.
	// Its restart policy may not hold any more until it is started again.
	Signal(ctx context.Context, container, signal string) error

	// Rename gives a container another name.
	Rename(ctx context.Context, container, name string) error

	// Update changes limits and restart policy, of a running container too. Fields
	// that are nil stay as they are.
	Update(ctx context.Context, container string, change Change) error

	// Remove removes a stopped container, an image's reference (and the image with
	// the last of them), a volume, or a network. Nothing is forced, and a container's
	// volumes stay. A network that a running container is in is ErrConflict; one of a
	// container that does not run is removed.
	Remove(ctx context.Context, kind Kind, name string) error

	// Tag gives an image one more reference, such as "repository:tag".
	Tag(ctx context.Context, image, ref string) error

	// Exec runs a program in a running container, copies what it prints and returns
	// its exit code. A program that is not there ends with 126 or 127. When ctx ends
	// first the program may go on.
	Exec(ctx context.Context, container string, command []string, stdout, stderr io.Writer) (exit int, err error)

	// Logs copies what a container printed. With Follow it ends when the container
	// does, or with ctx.
	Logs(ctx context.Context, container string, query LogQuery, stdout, stderr io.Writer) error

	// Stats reads one sample, without waiting for a second one.
	Stats(ctx context.Context, container string) (Stats, error)

	// Top lists the processes of a running container.
	Top(ctx context.Context, container string) (Processes, error)
}

// MinAPI is the oldest API of an engine that is served: that of Docker 20.10.
const MinAPI = "1.41"

// Version is which engine answers.
type Version struct {
	API    string // the version of the API that is spoken, such as "1.41"
	Engine string // such as "20.10.24"
}

// Kind is a kind of object that an engine keeps.
type Kind string

// The kinds of objects.
const (
	KindContainer Kind = "container"
	KindImage     Kind = "image"
	KindVolume    Kind = "volume"
	KindNetwork   Kind = "network"
)

// Object is one entry of a list.
type Object struct {
	Kind   Kind
	ID     string   // a volume's is its name
	Names  []string // a container's names, an image's references; none for a dangling one
	Labels map[string]string
	Bytes  int64 // an image's size; 0 where the engine does not say

	// Of a container: its state, its image's ID, the named volumes that it uses, and
	// its networks, by name and, where the engine says it, by ID.
	State    State
	Image    string
	Volumes  []string
	Networks []string
}

// Image is an image of an engine.
type Image struct {
	ID     string   // "sha256:..."
	Tags   []string // its references
	Labels map[string]string

	// Raw is the whole answer of the engine.
	Raw json.RawMessage
}

// Spec is a container that is to be made.
type Spec struct {
	Name string

	// Body is the body of the engine's call: the fields of its Config, with
	// HostConfig and NetworkingConfig beside them. It may name several networks.
	Body json.RawMessage
}

// Change is what Update changes.
type Change struct {
	Limits *Limits
	Policy *RestartPolicy
}

// Limits are a container's limits. A zero says that there is none.
type Limits struct {
	Memory int64   `json:"memory,omitempty"` // bytes
	Swap   int64   `json:"swap,omitempty"`   // bytes of memory and swap together; -1 for any
	CPUs   float64 `json:"cpus,omitempty"`   // cores, such as 1.5
}

// RestartPolicy says when the engine starts a container again by itself.
type RestartPolicy struct {
	Name    string `json:"name,omitempty"`    // "no", "always", "unless-stopped" or "on-failure"
	Retries int    `json:"retries,omitempty"` // of on-failure; 0 is without end
}

// LogQuery says which part of a log is read. The zero value is all of it.
type LogQuery struct {
	Since, Until time.Time // zero is without bound
	Tail         int       // so many of the newest lines; 0 is all of them
	Follow       bool      // goes on with what is printed from now on
	Timestamps   bool      // puts the engine's time before each line
}

// Stats is one sample of what a running container uses.
type Stats struct {
	At          time.Time
	CPU         time.Duration // used since the container was started, over all cores
	Memory      int64         // bytes, without the cache of files
	MemoryLimit int64         // bytes; the host's memory when there is no limit
	Processes   int64
}

// Processes is what runs in a container, as the engine's ps prints it.
type Processes struct {
	Titles []string
	Rows   [][]string
}
