package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Notifier sends messages over one channel.
//
// Notify returns nil only once the receiver has taken the message, and then has
// not lost it. It makes one try, within ctx; a Courier does the retrying. A
// *DeliveryError says whether a retry is worth it; any other error is.
// Implementations are safe for concurrent use, and put no secret in an error.
type Notifier interface {
	Notify(ctx context.Context, m Message) error
}

var (
	// ErrPermanent says that trying the same message again on the same channel is
	// useless: a wrong address, a revoked key, a message that the receiver refuses.
	ErrPermanent = errors.New("permanent")

	// ErrUndelivered says that no channel took the message.
	ErrUndelivered = errors.New("not delivered")
)

// DeliveryError says what a channel answered. The zero value is a temporary
// failure, since a page that is tried once too often does less harm than one that
// is dropped.
type DeliveryError struct {
	Permanent  bool          // it is ErrPermanent to errors.Is
	RetryAfter time.Duration // the receiver's own wish; zero: it has none
	Status     int           // the protocol's answer, such as 503; zero: there was none
	Err        error         // what happened; nil where Status says it all
}

// Error says what happened and whether a retry is worth it.
func (e *DeliveryError) Error() string {
	text := "temporary"
	if e.Permanent {
		text = "permanent"
	}
	if e.Status != 0 {
		text = fmt.Sprintf("%s, answer %d", text, e.Status)
	}
	if e.RetryAfter > 0 {
		text = fmt.Sprintf("%s, retry after %v", text, e.RetryAfter)
	}
	if e.Err != nil {
		return fmt.Sprintf("%v (%s)", e.Err, text)
	}
	return "refused (" + text + ")"
}

// Unwrap returns what happened, and ErrPermanent where it is.
func (e *DeliveryError) Unwrap() []error {
	var errs []error
	if e.Permanent {
		errs = append(errs, ErrPermanent)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}
