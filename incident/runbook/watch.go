package runbook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// watched is how a look begins that the timeline keeps: how long was watched until it.
const watched = " watched, look "

// watch returns the step that watches the recovery: a look at once and then one every
// WatchEvery, until WatchFor has been watched. The first bad look ends it. Each look is
// kept on the timeline, so that after a crash the watch goes on with the time still to go;
// the time that nobody looked does not count.
func (d Deps) watch(item string) Step {
	const command = "watch -n 30 'docker-compose logs --tail=20'"
	name, purpose := "watch", item
	if d.Containers == nil && d.Bot.Health == nil {
		return person(name, purpose, command)
	}
	return Step{
		Name: name, Purpose: purpose, Commands: []string{command}, Again: true, Timeout: 2*d.WatchFor + time.Minute,
		Do: func(ctx context.Context, c Call) (string, error) {
			return watchFor(ctx, c, d.WatchFor, d.WatchEvery, d.lookWell)
		},
		Plan: func(context.Context, Call) (string, error) {
			return fmt.Sprintf("looks every %v for %v, and changes nothing", d.WatchEvery, d.WatchFor), nil
		},
	}
}

// lookWell is one look of the watch: every container is well, none has logged an error
// within the last period, and the bot says that it is well.
func (d Deps) lookWell(ctx context.Context, period time.Duration) (string, error) {
	var said []string
	if d.Containers != nil {
		s, err := d.Containers.Status(ctx)
		if err != nil {
			return "", err
		}
		said = append(said, s)
		if period > 0 {
			lines, err := d.Containers.Logs(ctx, false, 20, period, errorLine)
			if err != nil {
				return "", err
			}
			if lines != "" {
				return "", fmt.Errorf("errors in the logs of the last %v: %s", period, lines)
			}
		}
	}
	if d.Bot.Health != nil {
		s, err := d.Bot.Health(ctx)
		if err != nil {
			return "", err
		}
		said = append(said, s)
	}
	return strings.Join(said, "; "), nil
}

// watchFor looks until most has been watched.
func watchFor(ctx context.Context, c Call, most, every time.Duration, look func(ctx context.Context, period time.Duration) (string, error)) (string, error) {
	sofar, number := progress(c.Past)
	var unkept error
	for last := time.Now(); ; {
		began := time.Now()
		period := began.Sub(last)
		last = began
		within, cancel := context.WithTimeout(ctx, max(every, glance))
		said, err := look(within, period)
		cancel()
		number++
		if ctx.Err() != nil {
			return "", fmt.Errorf("cut short at look %d of the watch: %w", number, ctx.Err())
		}
		if err != nil {
			return "", fmt.Errorf("look %d of the watch, after %v of %v: %w", number, sofar+period, most, err)
		}
		sofar += period
		if err := c.Note(ctx, fmt.Sprintf("%v%s%d: %s", sofar, watched, number, said)); err != nil {
			unkept = errors.Join(unkept, fmt.Errorf("look %d is not on the timeline: %w", number, err))
		}
		if sofar >= most {
			said := fmt.Sprintf("all was well for %v in %d looks", sofar, number)
			if unkept != nil {
				said += "; " + unkept.Error()
			}
			return said, nil
		}
		timer := time.NewTimer(time.Until(began.Add(min(every, most-sofar))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", fmt.Errorf("cut short after look %d of the watch: %w", number, ctx.Err())
		}
	}
}

// progress returns how long was watched, and in how many looks. A note that cannot be
// read counts for nothing.
func progress(past []string) (sofar time.Duration, number int) {
	for _, note := range past {
		d, rest, ok := strings.Cut(note, watched)
		got, err := time.ParseDuration(d)
		var n int
		if _, serr := fmt.Sscanf(rest, "%d:", &n); ok && err == nil && serr == nil {
			sofar, number = got, n
		}
	}
	return sofar, number
}
