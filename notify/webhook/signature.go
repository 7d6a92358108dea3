package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/andon-go/andon/notify"
)

// The headers of a request.
const (
	IdempotencyKey  = "Idempotency-Key"
	TimestampHeader = "Andon-Timestamp"
	SignatureHeader = "Andon-Signature"
)

// ErrSignature says that a request is not to be trusted.
var ErrSignature = errors.New("webhook request is not authentic")

// sign returns the signature over timestamp and body.
func sign(secret notify.Secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp)) // a hash never returns an error
	mac.Write([]byte{'.'})
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Verify is for the receiver: it reports whether a request was signed with the
// secret no longer than tolerance before or after now. The error is ErrSignature and
// says what is wrong, never what would have been right.
func Verify(secret notify.Secret, header http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	timestamp := header.Get(TimestampHeader)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s is missing or no number of seconds", ErrSignature, TimestampHeader)
	}
	if !hmac.Equal([]byte(header.Get(SignatureHeader)), []byte(sign(secret, timestamp, body))) {
		return fmt.Errorf("%w: %s does not fit body and time", ErrSignature, SignatureHeader)
	}
	if age := now.Sub(time.Unix(seconds, 0)); age.Abs() > tolerance {
		return fmt.Errorf("%w: it was signed %v from now, more than %v", ErrSignature, age.Abs(), tolerance)
	}
	return nil
}
