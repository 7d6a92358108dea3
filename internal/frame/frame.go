// Package frame writes records that are whole or an error.
//
// A framed record is one line, "andon-<kind> 1 sha256:<of the rest>", and JSON.
// There is exactly one text for each value, so that a single bit that changes in a
// record is found whatever it means.
package frame

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

const version = 1

// Encode returns the record of a value.
func Encode(kind string, v any) ([]byte, error) {
	body, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	return append(header(kind, body), body...), nil
}

// Decode reads into v, a pointer, what Encode wrote. The error says in words that
// fit behind the name of the record what is wrong with it.
func Decode(kind string, data []byte, v any) error {
	first, body, found := bytes.Cut(data, []byte("\n"))
	if !found {
		return errors.New("it is cut off in its first line")
	}
	if err := checkHeader(kind, first, body); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	again, err := Encode(kind, v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return errors.New("it is not in the form in which it was written")
	}
	return nil
}

// Digest returns the SHA-256 of data in lower case.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func header(kind string, body []byte) []byte {
	return fmt.Appendf(nil, "andon-%s %d sha256:%s\n", kind, version, Digest(body))
}

func checkHeader(kind string, first, body []byte) error {
	if bytes.Equal(append(first[:len(first):len(first)], '\n'), header(kind, body)) {
		return nil
	}
	var theirs int
	var sum string
	if _, err := fmt.Sscanf(string(first), "andon-"+kind+" %d sha256:%s", &theirs, &sum); err != nil {
		return fmt.Errorf("its first line is not that of a %s", kind)
	}
	if theirs > version {
		return fmt.Errorf("its format is %d and this program reads %d", theirs, version)
	}
	return errors.New("its SHA-256 differs from its content")
}
