package recorded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// decoder walks a file of pages, one record at a time.
type decoder struct {
	file  string
	lines *lines
	json  *json.Decoder
	page  int // counted from 1
	rec   int // counted from 1; 0 outside records
	field string
}

// visitor takes what a file of pages holds, page by page: its records, then its url.
// What it returns is reported with the place.
type visitor interface {
	record(r *record)
	page(url string) error
}

// read walks the whole file and returns how many pages and records it has.
func read(r io.Reader, file string, v visitor) (pages, records int, err error) {
	l := &lines{r: r}
	d := &decoder{file: file, lines: l, json: json.NewDecoder(l)}
	if err := d.pages(v, &records); err != nil {
		return 0, 0, err
	}
	pages, d.page, d.rec, d.field = d.page, 0, 0, ""
	if pages == 0 {
		return 0, 0, d.errorf("holds no page, which says nothing about the account")
	}
	switch _, err := d.json.Token(); {
	case err == nil:
		return 0, 0, d.errorf("something follows the list of pages")
	case !errors.Is(err, io.EOF):
		return 0, 0, d.fault(err)
	}
	return pages, records, nil
}

func (d *decoder) pages(v visitor, records *int) error {
	return d.list("pages", func() error {
		d.page++
		d.rec = 0
		url, got := "", false
		err := d.object(func(key string) error {
			switch key {
			case "url":
				return d.value(&url)
			case "records":
				got = true
				return d.records(v, records)
			}
			return d.value(new(json.RawMessage))
		})
		if err != nil {
			return err
		}
		d.rec, d.field = 0, "url"
		if url == "" {
			return d.fault(errMissing)
		}
		if err := v.page(url); err != nil {
			return d.fault(err)
		}
		if d.field = "records"; !got {
			return d.fault(errMissing)
		}
		d.field = ""
		return nil
	})
}

func (d *decoder) records(v visitor, records *int) error {
	err := d.list("records", func() error {
		d.rec++
		r := &record{d: d, fields: map[string]field{}}
		if err := d.object(r.read); err != nil {
			return err
		}
		d.field = ""
		if v.record(r); r.err != nil {
			return r.err
		}
		*records++
		return nil
	})
	d.rec = 0
	return err
}

// list calls each for every element of the list that comes next.
func (d *decoder) list(what string, each func() error) error {
	if err := d.delim('[', "a list of "+what); err != nil {
		return err
	}
	for d.json.More() {
		if err := each(); err != nil {
			return err
		}
	}
	return d.end()
}

// object calls each for every field of the object that comes next. A name that
// comes twice is an error: readers differ in which of the two they believe.
func (d *decoder) object(each func(key string) error) error {
	d.field = ""
	if err := d.delim('{', "an object"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.json.More() {
		t, err := d.json.Token()
		if err != nil {
			return d.fault(err)
		}
		key, ok := t.(string)
		if d.field = key; !ok || seen[key] {
			return d.errorf("comes twice in one object")
		}
		seen[key] = true
		if err := each(key); err != nil {
			return err
		}
	}
	d.field = ""
	return d.end()
}

func (d *decoder) delim(want json.Delim, what string) error {
	switch t, err := d.json.Token(); {
	case err != nil:
		return d.fault(err)
	case t != want:
		return d.errorf("want %s, found %s", what, kind(t))
	}
	return nil
}

// end reads the end of a list or an object.
func (d *decoder) end() error {
	if _, err := d.json.Token(); err != nil {
		return d.fault(err)
	}
	return nil
}

func (d *decoder) value(to any) error {
	if err := d.json.Decode(to); err != nil {
		return d.fault(err)
	}
	return nil
}

func (d *decoder) line() int { return d.lines.at(d.json.InputOffset()) }

func (d *decoder) errorf(format string, args ...any) error {
	return d.fault(fmt.Errorf(format, args...))
}

// fault puts an error in its place. What the reader could not do is passed on: it
// says nothing about the recording.
func (d *decoder) fault(err error) error {
	if d.lines.err != nil {
		return fmt.Errorf("%s: %w", d.file, d.lines.err)
	}
	line := d.line()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		line = d.lines.at(d.lines.read)
		err = errors.New("ends before it is complete")
		if d.lines.read == 0 {
			err = errors.New("is empty")
		}
	} else if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("found a %s, want a %s", typ.Value, typ.Type)
	} else if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		err = fmt.Errorf("not JSON: %w", syntax)
	}
	return &Error{File: d.file, Line: line, Page: d.page, Record: d.rec, Field: d.field, Err: err}
}

// kind names what a token starts.
func kind(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return "an object"
		}
		return "a list"
	case string:
		return "a text"
	case bool:
		return "true or false"
	case nil:
		return "null"
	}
	return "a number"
}
