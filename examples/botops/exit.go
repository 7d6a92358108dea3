package main

import (
	"errors"
	"io/fs"

	"github.com/andon-go/andon/incident/playbook/control"
)

// The exit statuses, as doc.go says.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnconfirmed = 3
	exitNoBot       = 4
	exitNotWired    = 5
	exitRefused     = 6
	exitUnwell      = 7
	exitOutcome     = 8
	exitRights      = 9
)

// exitText is what --help says of them.
const exitText = `Exit status: 0 done; 1 failed; 2 mistake on the command line or in a file; 3 stop: flag placed, closed gate unconfirmed;
4 no bot running; 5 not wired; 6 refused or not confirmed, nothing changed; 7 something is not well;
8 not known whether it was done; 9 no rights.`

var (
	errUsage       = errors.New("usage")
	errUnconfirmed = errors.New("UNCONFIRMED")
)

// exitOf is the status for an error.
func exitOf(err error) int {
	for _, c := range []struct {
		err  error
		code int
	}{
		{errUnconfirmed, exitUnconfirmed},
		{errUsage, exitUsage}, {control.ErrBad, exitUsage},
		{control.ErrOutcome, exitOutcome},
		{control.ErrNotRunning, exitNoBot},
		{control.ErrNotWired, exitNotWired},
		{control.ErrRefused, exitRefused},
		{control.ErrUnwell, exitUnwell},
		{control.ErrForbidden, exitRights}, {fs.ErrPermission, exitRights},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if err != nil {
		return exitFailed
	}
	return exitDone
}

// kind is an error with the kind that decides its status.
type kind struct {
	kind error
	err  error
}

func (k kind) Error() string   { return k.err.Error() }
func (k kind) Unwrap() []error { return []error{k.kind, k.err} }

func as(k, err error) error {
	if err == nil {
		return nil
	}
	return kind{k, err}
}
