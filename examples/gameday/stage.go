package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// stage stands in for a test, so that game days break the same PostgreSQL and the same
// containers that the library's own tests do.
type stage struct {
	testing.TB // nil: what is not below is not asked for
	ctx        context.Context
	clean      []func()
	errs       []error
}

// fatal is what Fatalf panics with; build turns it into an error.
type fatal struct{ error }

func (s *stage) Helper()                  {}
func (s *stage) Name() string             { return "gameday" }
func (s *stage) Context() context.Context { return s.ctx }
func (s *stage) Cleanup(f func())         { s.clean = append(s.clean, f) }
func (s *stage) Logf(string, ...any)      {}
func (s *stage) Log(...any)               {}
func (s *stage) Errorf(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}
func (s *stage) Fatalf(format string, args ...any) { panic(fatal{fmt.Errorf(format, args...)}) }
func (s *stage) Skipf(format string, args ...any)  { panic(fatal{fmt.Errorf(format, args...)}) }

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "andon-gameday-")
	if err != nil {
		s.Fatalf("%v", err)
	}
	s.Cleanup(func() { s.errs = append(s.errs, os.RemoveAll(dir)) })
	return dir
}

// build runs f, and returns what it could not do as an error.
func (s *stage) build(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			stopped, ok := p.(fatal)
			if !ok {
				panic(p)
			}
			err = stopped.error
		}
	}()
	f()
	return nil
}

// strike takes everything down, the last first, and returns what did not go well.
func (s *stage) strike() error {
	for _, f := range slices.Backward(s.clean) {
		s.errs = append(s.errs, s.build(f))
	}
	s.clean = nil
	return errors.Join(s.errs...)
}
