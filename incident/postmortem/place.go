package postmortem

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Place is where a person writes into a report.
type Place string

// The places, in the order of the report.
const (
	Financial    Place = "financial"
	Trades       Place = "trades"
	Users        Place = "users"
	WhatHappened Place = "what-happened"
	RootCause    Place = "root-cause"
	Factors      Place = "factors"
	NotCaught    Place = "not-caught"
	WentWell     Place = "went-well"
	WentPoorly   Place = "went-poorly"
	Lucky        Place = "lucky"
	ActionItems  Place = "action-items"
	Review       Place = "review"
	Metrics      Place = "metrics"
)

var places = []Place{
	Financial, Trades, Users, WhatHappened, RootCause, Factors, NotCaught, WentWell, WentPoorly, Lucky, ActionItems, Review, Metrics,
}

// ErrEdited means that a report was changed where the next one is written from the
// timeline alone, so that the change would be lost.
var ErrEdited = errors.New("changed outside the places for people")

// The comments around a place. The first has a digest of the prompt: a place that still
// is what it was made as has not been written.
const closing = "<!--/write-->"

func opening(p Place, prompt string) string {
	return fmt.Sprintf("<!--write %s %s-->", p, digest(prompt))
}

var between = regexp.MustCompile(`(?s)<!--write ([a-z-]+) ([0-9a-f]{12})-->(.*?)<!--/write-->`)

// The last line of a report has a digest of each section without its places.
var sealLine = regexp.MustCompile(`<!--andon((?: [0-9a-f]{12})+)-->\n*$`)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

// sealed adds the last line to a report.
func sealed(report string) string {
	_, digests := sections(report)
	return report + "\n<!--andon " + strings.Join(digests, " ") + "-->\n"
}

// sections returns the titles of a report's sections and a digest of each.
func sections(report string) (titles, digests []string) {
	bare := between.ReplaceAllString(report, "<!--write $1-->")
	for i, s := range strings.Split("\n"+bare, "\n## ") {
		title, _, _ := strings.Cut(s, "\n")
		if i == 0 {
			title = "the beginning"
		}
		// Editors take blanks off the ends of lines.
		var lines []string
		for line := range strings.SplitSeq(s, "\n") {
			lines = append(lines, strings.TrimRight(line, " \t"))
		}
		titles = append(titles, title)
		digests = append(digests, digest(strings.TrimSpace(strings.Join(lines, "\n"))))
	}
	return titles, digests
}

// unix takes out what editors of other systems put in.
func unix(report string) string {
	return strings.ReplaceAll(strings.TrimPrefix(report, "\ufeff"), "\r\n", "\n")
}

// Read returns what people have written into a report that Markdown made: the places
// whose text is not the prompt any more. It is ErrEdited, with the section, where
// anything else was changed, and an error where a place is damaged: nothing that a person
// wrote is dropped without a word.
func Read(report string) (map[Place]string, error) {
	report = unix(report)
	seal := sealLine.FindStringSubmatchIndex(report)
	if seal == nil && strings.Contains(report, "\n<!--andon ") {
		return nil, fmt.Errorf("post-mortem: %w, below the last line, <!--andon ...-->: put it into one of the places", ErrEdited)
	}
	if seal == nil {
		return nil, errors.New("post-mortem: the last line, <!--andon ...-->, is missing: this is no report of this library, or its end is cut off")
	}
	want := strings.Fields(report[seal[2]:seal[3]])
	report = strings.TrimSuffix(report[:seal[0]], "\n")
	text := map[Place]string{}
	var errs []error
	for _, m := range between.FindAllStringSubmatch(report, -1) {
		p := Place(m[1])
		_, twice := text[p]
		switch {
		case !slices.Contains(places, p):
			errs = append(errs, fmt.Errorf("post-mortem: place %q is not one that this version knows", p))
		case twice:
			errs = append(errs, fmt.Errorf("post-mortem: place %q is there twice", p))
		case strings.Contains(m[3], "<!--write "):
			errs = append(errs, fmt.Errorf("post-mortem: the end of place %q is gone", p))
		case digest(m[3]) != m[2]:
			text[p] = m[3]
		}
	}
	titles, got := sections(report)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got) || i >= len(want):
			errs = append(errs, fmt.Errorf("post-mortem: %w: %d sections, want %d", ErrEdited, len(got), len(want)))
		case got[i] != want[i]:
			errs = append(errs, fmt.Errorf("post-mortem: %w, in section %q: put it into one of the places", ErrEdited, titles[i]))
			continue
		default:
			continue
		}
		break
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return text, nil
}

// Waiting returns the places that nobody has written yet, in order.
func (r Report) Waiting() []Place {
	d := doc{text: r.Text}
	r.summary(&d)
	r.rootCause(&d)
	r.lessons(&d)
	r.actions(&d)
	return d.waits
}
