package stream_test

import (
	"errors"
	"testing"

	"sluice/events"
	"sluice/events/stream"
)

func TestTrim(t *testing.T) {
	log, _, _ := nine(t)
	a := stream.NewArchive(log)
	id := open(t, log).StreamID
	bounds := func(first, last uint64) {
		t.Helper()
		if info := open(t, log); info.First != first || info.Last != last || info.StreamID != id {
			t.Fatalf("log %+v, want %d to %d", info, first, last)
		}
	}
	t.Run("another identity is left alone", func(t *testing.T) {
		for _, other := range []string{"", "0123456789abcdef0123456789abcdef"} {
			if err := a.Trim(t.Context(), other, 4); !errors.Is(err, events.ErrNoLog) {
				t.Errorf("trim %q: %v", other, err)
			}
		}
		bounds(1, 9)
	})
	t.Run("beyond the end is an error", func(t *testing.T) {
		if err := a.Trim(t.Context(), id, 11); !errors.Is(err, events.ErrNoMessage) {
			t.Errorf("trim: %v", err)
		}
		bounds(1, 9)
	})
	t.Run("first and what follows stay", func(t *testing.T) {
		for _, first := range []uint64{0, 1} {
			if err := a.Trim(t.Context(), id, first); err != nil {
				t.Errorf("trim before %d: %v", first, err)
			}
			bounds(1, 9)
		}
		for _, first := range []uint64{4, 4, 2, 0} { // again, and what is gone already
			if err := a.Trim(t.Context(), id, first); err != nil {
				t.Errorf("trim before %d: %v", first, err)
			}
			bounds(4, 9)
		}
		if m, err := log.Get(t.Context(), 4); err != nil || string(m.Data) != "4" {
			t.Errorf("the first one: %+v, %v", m, err)
		}
		if _, err := log.Get(t.Context(), 3); !errors.Is(err, events.ErrNoMessage) {
			t.Errorf("the one before: %v", err)
		}
		if got := read(t, log, stream.Query{}); got != "456789" {
			t.Errorf("left: %q", got)
		}
	})
	t.Run("the whole, and it goes on", func(t *testing.T) {
		if err := a.Trim(t.Context(), id, 10); err != nil {
			t.Errorf("trim: %v", err)
		}
		bounds(10, 9)
		if seq := appendOne(t, log, events.Outgoing{Subject: key, ID: "next", Data: []byte("x")}); seq != 10 {
			t.Errorf("the next one is %d", seq)
		}
		bounds(10, 10)
		if got := follow(t, log, 10, 1); got[0].Seq != 10 {
			t.Errorf("followed %+v", got)
		}
	})
}
