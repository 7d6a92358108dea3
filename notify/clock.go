package notify

import (
	"fmt"
	"time"
)

// Clock is a time of day, to the minute. The zero Clock is midnight.
type Clock struct {
	Hour, Minute int
}

// String returns the time of day as "09:30".
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c.Hour, c.Minute) }

// MarshalText writes the time of day as "09:30".
func (c Clock) MarshalText() ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads a time of day such as "09:30", of the 24-hour clock and with
// all four digits.
func (c *Clock) UnmarshalText(text []byte) error {
	t, err := time.Parse("15:04", string(text))
	if err != nil || len(text) != len("15:04") {
		return fmt.Errorf("time of day is %q, want one such as 09:30", text)
	}
	*c = Clock{t.Hour(), t.Minute()}
	return nil
}

func (c Clock) validate() error {
	if c.Hour < 0 || c.Hour > 23 || c.Minute < 0 || c.Minute > 59 {
		return fmt.Errorf("time of day is %v, want 00:00 to 23:59", c)
	}
	return nil
}

// since returns how long after midnight it is.
func (c Clock) since() time.Duration {
	return time.Duration(c.Hour)*time.Hour + time.Duration(c.Minute)*time.Minute
}

// Date is a day of the calendar. The zero Date is no day.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// String returns the day as "2026-03-14".
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// MarshalText writes the day as "2026-03-14".
func (d Date) MarshalText() ([]byte, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads a day such as "2026-03-14".
func (d *Date) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return fmt.Errorf("day is %q, want one such as 2026-03-14", text)
	}
	*d = Date{t.Year(), t.Month(), t.Day()}
	return nil
}

func (d Date) validate() error {
	y, m, day := d.midnight().Date()
	if (Date{y, m, day}) != d || y < 0 || y > 9999 {
		return fmt.Errorf("day is %v, which is none of the calendar", d)
	}
	return nil
}

// midnight returns the beginning of the day as a wall time.
func (d Date) midnight() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }
