package resthttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Fields collects what is missing from an answer: a field that is absent, or null, is
// an error and never zero. The zero value is ready.
type Fields struct {
	problems []error
}

// Need returns a field's value, or notes that it is missing.
func Need[T any](f *Fields, name string, v *T) T {
	if v == nil {
		f.problems = append(f.problems, fmt.Errorf("%s is missing", name))
		var none T
		return none
	}
	return *v
}

// Text returns a text that is not empty, or notes that it is missing.
func (f *Fields) Text(name string, v *string) string {
	s := Need(f, name, v)
	if v != nil && s == "" {
		f.Wrong("%s is empty", name)
	}
	return s
}

// Wrong notes another problem.
func (f *Fields) Wrong(format string, args ...any) {
	f.problems = append(f.problems, fmt.Errorf(format, args...))
}

// Err returns what was noted, joined, each behind what it is about.
func (f *Fields) Err(format string, args ...any) error {
	if len(f.problems) == 0 {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, errors.Join(f.problems...))...)
}

// Get reads JSON from a path into v. It returns how the call went.
func (c *Client) Get(ctx context.Context, path string, q url.Values, auth Authorize, v any) (Answer, error) {
	answer, err := c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: q, Repeat: true, Authorize: auth})
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(answer.Body, v); err != nil {
		return answer, fmt.Errorf("GET %s%s: the answer is not what it should be: %w", c.Host(), path, err)
	}
	return answer, nil
}
