package incident_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/andon-go/andon"
	"github.com/andon-go/andon/incident"
	"github.com/andon-go/andon/severity"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anything draws a value for every exported field of v, by its type, so that a field that is
// added is drawn too. One in two stays zero. Plain leaves out what is rare or an error.
func anything(t *rapid.T, v reflect.Value, plain bool, name string) {
	if v.Kind() != reflect.Struct && !rapid.Bool().Draw(t, name+" is set") || plain && v.Kind() == reflect.Pointer {
		return
	}
	switch at := v.Addr().Interface().(type) {
	case *time.Time:
		zones := []*time.Location{time.UTC, nil, time.FixedZone("half", 5*3600+1800), time.FixedZone("odd", -7*3600-61), time.FixedZone("far", 30*3600)}
		sec := rapid.Int64Range(0, 1<<33).Draw(t, name)
		if plain {
			zones = zones[:4]
		} else { // about the year 1 and the year 10000, too
			sec = rapid.OneOf(rapid.Just(sec), rapid.Int64Range(-62135596800, -62135596700), rapid.Int64Range(253402300700, 253402300900)).Draw(t, name)
		}
		*at = time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, name+" ns"))
		if zone := rapid.SampledFrom(zones).Draw(t, name+" zone"); zone != nil {
			*at = at.In(zone)
		}
		return
	case *severity.Level:
		*at = severity.Level(rapid.IntRange(0, 4).Draw(t, name))
		if !plain {
			*at++
		}
		return
	case *andon.Decimal:
		*at = andon.NewDecimal(rapid.Int64().Draw(t, name), 3)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			anything(t, v.Field(i), plain, name+"."+v.Type().Field(i).Name)
		}
	case reflect.String:
		v.SetString(texts.Draw(t, name))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, name))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, name))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rapid.Byte().Draw(t, name)))
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 2).Draw(t, name)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			anything(t, v.Index(i), plain, name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		anything(t, v.Elem(), plain, name)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		of := reflect.New(v.Type().Elem()).Elem()
		anything(t, of, plain, name)
		v.SetMapIndex(reflect.ValueOf(texts.Draw(t, name+" key")), of)
	default:
		t.Fatalf("%s: no way to draw a %v", name, v.Type())
	}
}

// texts draws what is awkward to escape, and any bytes, more often than chance would.
var texts = rapid.OneOf(
	rapid.String(),
	rapid.StringOfN(rapid.SampledFrom([]rune("a\"\\/<>&\x00\x1f\x7f\b\f\n\r\t\u2027\u2028\u2029\u202a\ufffdé😀")), 0, 20, -1),
	rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
)

// What an event is written as is what encoding/json would write, to the byte, so that a
// chain that an earlier version began goes on, and other tools read it.
func TestAnEventIsWrittenAsEncodingJSONWritesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e incident.Event
		anything(t, reflect.ValueOf(&e).Elem(), rapid.IntRange(0, 3).Draw(t, "plain") > 0, "event")
		e.At, e.Kind = e.At.Add(time.Hour), "k"+e.Kind
		e.By, e.What, e.Why = "b"+e.By, "w"+e.What, "w"+e.Why
		want, wantErr := e.EncodeAnyhow()
		got, err := e.Encode()
		if e.At.IsZero() || wantErr != nil {
			require.ErrorIs(t, err, incident.ErrEvent)
			if !e.At.IsZero() {
				require.ErrorContains(t, err, wantErr.Error())
			}
			return
		}
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
		before := texts.Draw(t, "before")
		behind, err := e.AppendBody([]byte(before))
		require.NoError(t, err)
		require.Equal(t, before+string(want), string(behind))
	})
}

// A field of the event that is set alone is in the line: none that is added is forgotten.
// What is empty and not the zero value is written as encoding/json writes it, too.
func TestEveryFieldOfAnEventIsWritten(t *testing.T) {
	bare := incident.Event{At: time.Unix(1, 0), Kind: "k", By: "b", What: "w", Why: "y"}
	empty, err := bare.Encode()
	require.NoError(t, err)
	data := reflect.TypeFor[incident.Data]()
	written := func(e incident.Event, name string) string {
		want, err := e.EncodeAnyhow()
		require.NoError(t, err)
		got, err := e.Encode()
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), name)
		return string(got)
	}
	for i := range data.NumField() {
		e, name := bare, data.Field(i).Name
		field := reflect.ValueOf(&e.Data).Elem().Field(i)
		set(t, field, name)
		require.NotEqual(t, string(empty), written(e, name), name)
		switch {
		case field.Kind() == reflect.Slice:
			field.SetLen(0)
		case field.Type() == reflect.TypeFor[time.Time]():
			field.Set(reflect.ValueOf(time.Time{}.In(time.FixedZone("half", 1800))))
		default:
			continue
		}
		require.NotEqual(t, string(empty), written(e, "empty "+name), name)
	}
}

// set gives a field a value that is not zero.
func set(t *testing.T, v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint8:
		v.SetUint(3)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		v.Set(reflect.ValueOf(time.Unix(2, 0)))
	default:
		t.Fatalf("%s: no way to set a %v", name, v.Type())
	}
}
