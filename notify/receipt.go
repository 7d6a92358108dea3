package notify

import (
	"errors"
	"fmt"
	"time"
)

// Attempt is what became of a message on one channel.
type Attempt struct {
	Address
	Tries int
	At    time.Time // when the channel took it or was given up
	Err   error     // of the last try; nil: taken
}

// Receipt says what became of a message to one contact.
type Receipt struct {
	Contact  string
	Key      string    // of the message
	Accepted Attempt   // the channel that took it, when, and after how many tries; zero where Err is set
	Failed   []Attempt // channels that had given up by then
	RetryAt  time.Time // of an undelivered message: when to send it again; zero where it was delivered
	Err      error     // ErrUndelivered, with the last error of each channel; nil: delivered
}

func (r Receipt) accepted(a Attempt) Receipt {
	r.Accepted = a
	return r
}

// undelivered sets Err, and RetryAt to the earliest time that makes sense: what a
// receiver asked for, or pause from now where none did.
func (r Receipt) undelivered(now time.Time, pause time.Duration) Receipt {
	if len(r.Failed) == 0 {
		r.Err = fmt.Errorf("message %s to %s: %w: the contact has no address", r.Key, r.Contact, ErrUndelivered)
		r.RetryAt = now.Add(pause)
		return r
	}
	errs := []error{fmt.Errorf("message %s to %s: %w", r.Key, r.Contact, ErrUndelivered)}
	for _, a := range r.Failed {
		errs = append(errs, fmt.Errorf("%s, %d tries: %w", a.Channel, a.Tries, a.Err))
		at := now.Add(pause)
		if hint := retryAfter(a.Err); hint > 0 {
			at = a.At.Add(hint)
		}
		r.RetryAt = earliest(r.RetryAt, at)
	}
	r.Err = errors.Join(errs...)
	return r
}
