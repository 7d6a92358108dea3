package recovery

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// ErrKey says that what is sealed could not be opened again with the identities
// that there are: a backup made so could never be restored.
var ErrKey = errors.New("the key does not open what is sealed")

// Seal says for whom backups are sealed, and how they are opened.
type Seal struct {
	// Recipients can each open every backup. Given beforehand: public keys, so
	// that an offline one can be among them. Required.
	Recipients []age.Recipient

	// Identities returns keys of which one opens what is sealed. It is asked before
	// each backup, to try the key, and for each verification and restore; it may
	// read a file or ask a key store. Required: a backup whose key nobody has tried
	// is not known to be restorable.
	Identities func(ctx context.Context) ([]age.Identity, error)
}

func (s *Seal) validate() error {
	if s == nil {
		return nil
	}
	var errs []error
	if len(s.Recipients) == 0 {
		errs = append(errs, errors.New("Seal.Recipients: there are none"))
	}
	for i, r := range s.Recipients {
		if r == nil {
			errs = append(errs, fmt.Errorf("Seal.Recipients: number %d is nil", i+1))
		}
	}
	if s.Identities == nil {
		errs = append(errs, errors.New("Seal.Identities: is nil, and a key that nobody can try may open nothing"))
	}
	return errors.Join(errs...)
}

// try seals a word that nobody can guess and opens it again. Nil is for no seal.
func (s *Seal) try(ctx context.Context) error {
	if s == nil {
		return nil
	}
	word := []byte(rand.Text())
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, s.Recipients...)
	if err == nil {
		_, err = w.Write(word)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("trying the key: %w", err)
	}
	opened, err := s.open(ctx, &sealed)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(opened)
	if err != nil || !bytes.Equal(got, word) {
		return errors.Join(fmt.Errorf("trying the key: %w", ErrKey), err)
	}
	return nil
}

// open returns the content of what is sealed.
func (s *Seal) open(ctx context.Context, sealed io.Reader) (io.Reader, error) {
	if s == nil {
		return nil, fmt.Errorf("it is sealed and no Seal is configured: %w", ErrKey)
	}
	identities, err := s.Identities(ctx)
	if err != nil {
		return nil, fmt.Errorf("the identities: %w: %w", ErrKey, err)
	}
	if len(identities) == 0 {
		return nil, fmt.Errorf("there are no identities: %w", ErrKey)
	}
	opened, err := age.Decrypt(sealed, identities...)
	if _, none := errors.AsType[*age.NoIdentityMatchError](err); none {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return opened, err
}
