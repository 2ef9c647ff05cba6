package gossip

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

// FuzzMessage: whatever another replica sends is an error or a message that survives a round trip.
func FuzzMessage(f *testing.F) {
	e := events.EntryEvent("test", crdt.Entry{Key: "service/a", Stamp: crdt.Stamp{HLC: 5 << 16, Node: 1 << 63}, Value: []byte(`{}`)})
	at := newPosition(events.Position{StreamID: "stream", Anchor: events.Anchor{Seq: 7, Time: time.Now().UnixNano(), Hash: [16]byte{1}}, Digest: 9})
	for _, v := range []any{
		request{Op: opCompare, Name: "one", Position: at, Digest: 3, After: "service/a"},
		request{Op: opRead, ID: 4, Offset: maxPage}, request{Op: opFetch, Keys: []string{"service/a"}},
		response{Position: at, Marks: []mark{newMark(e)}, More: true}, response{ID: 1, Size: -1, Busy: true, Data: []byte{0}},
	} {
		data, err := cbor.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{0xbf, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		roundTrip[request](t, data)
		roundTrip[response](t, data)
	})
}

func roundTrip[T any](t *testing.T, data []byte) {
	t.Helper()
	var first, again T
	if unmarshal(data, &first) != nil {
		return
	}
	one, err := cbor.Marshal(first)
	if err != nil {
		t.Fatalf("%+v cannot be encoded: %v", first, err)
	}
	if err := unmarshal(one, &again); err != nil {
		t.Fatalf("%+v cannot be decoded again: %v", first, err)
	}
	two, err := cbor.Marshal(again)
	if err != nil || !bytes.Equal(one, two) {
		t.Fatalf("not the same again, %v: %s", err, cmp.Diff(first, again))
	}
}

// TestPage: no message exceeds 512 KiB, however much of an event is not its value.
func TestPage(t *testing.T) {
	for name, c := range map[string]struct {
		n, size      int
		actor, other string
	}{
		"small":           {1000, 0, "ci", "/sluice/edge/proxy-1"},
		"long attributes": {1000, 0, strings.Repeat("a", 1024), "/sluice/" + strings.Repeat("h", 1000)},
		"escapes":         {1000, 0, strings.Repeat(`"`, 500), "/sluice/edge/proxy-1"},
		"long values":     {30, 64 << 10, "ci", "/sluice/edge/proxy-1"},
		"longest values":  {5, events.MaxValue - 8, strings.Repeat(`"`, 1024), strings.Repeat(`"`, 1024)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &pending{}
			var keys []string
			for i := range c.n {
				e := events.EntryEvent(c.other, crdt.Entry{
					Key: fmt.Sprintf("service/%06d", i), Stamp: crdt.Stamp{HLC: 5 << 16, Node: 1 << 63}, Value: []byte(`{"x":"` + strings.Repeat("x", c.size) + `"}`),
				})
				e.Actor = c.actor
				s.list, keys = append(s.list, e), append(keys, e.Subject)
			}
			pages := 0
			for rest := s.list; len(rest) > 0; pages++ {
				data, n := page(rest, func(e events.Event, err error) { t.Errorf("%s: %v", e.Subject, err) })
				shorterThanAMessage(t, request{Op: opPush, Events: data})
				back, err := events.DecodeEvents(data)
				if err != nil || len(back) != n || back[0].Subject != rest[0].Subject {
					t.Fatalf("%d of %d events, %v", len(back), n, err)
				}
				rest = rest[n:]
			}
			if least := (c.n * c.size) >> 19; pages < least || pages > 2*least+10 {
				t.Errorf("%d pages", pages)
			}
			x := &Exchange{store: s}
			shorterThanAMessage(t, x.handOut(keys))
		})
	}
	t.Run("the longest keys", func(t *testing.T) {
		s := &pending{}
		for i := range maxMarks + 1 {
			s.list = append(s.list, events.Event{Subject: fmt.Sprintf("%s/%0200d", strings.Repeat("k", 16), i), Stamp: crdt.Stamp{HLC: 1 << 63, Node: 1 << 63}})
		}
		x := &Exchange{store: s}
		out := x.compare(request{Digest: 1})
		if len(out.Marks) != maxMarks || !out.More {
			t.Errorf("%d marks", len(out.Marks))
		}
		shorterThanAMessage(t, out)
		var keys []string
		for _, e := range s.list[:maxKeys] {
			keys = append(keys, e.Subject)
		}
		shorterThanAMessage(t, request{Op: opFetch, Keys: keys})
	})
}

func shorterThanAMessage(t *testing.T, v any) {
	t.Helper()
	data, err := cbor.Marshal(v)
	if err != nil || len(data) > maxMessage {
		t.Errorf("a message of %d bytes, %v", len(data), err)
	}
}

// pending is a replica that has nothing but pending changes.
type pending struct {
	Store
	list []events.Event
}

func (p *pending) Accepted() []events.Event        { return slices.Clone(p.list) }
func (p *pending) AcceptedDigest() uint64          { return 0 }
func (p *pending) Position() events.Position       { return events.Position{} }
func (p *pending) Compare(string, events.Position) {}
func (p *pending) Export() (events.Transfer, bool) {
	return events.Transfer{State: &events.State{StreamID: "s", Params: events.DefaultParams(), Map: crdt.NewMap()}}, true
}

// TestUnreadStateIsForgotten: a copy in memory that nobody reads goes by itself.
func TestUnreadStateIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStates("edge")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.run(ctx)
		held := func() int {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.held)
		}
		first := s.open(&pending{})
		time.Sleep(idleTransfer / 2)
		second := s.open(&pending{})
		if busy := s.open(&pending{}); first.Size == 0 || second.Size == 0 || !busy.Busy {
			t.Fatalf("%+v, %+v, %+v", first, second, busy)
		}
		time.Sleep(idleTransfer/2 - 1)
		if a := s.read(first.ID, 0); len(a.Data) != first.Size {
			t.Errorf("read %+v", a)
		}
		time.Sleep(idleTransfer/2 + 1)
		if n := held(); n != 1 {
			t.Errorf("%d states are held, want that which was read", n)
		}
		time.Sleep(idleTransfer / 2)
		if n := held(); n != 0 {
			t.Errorf("%d states are held, want none", n)
		}
		if a := s.read(first.ID, 0); a.Error == "" {
			t.Errorf("read %+v", a)
		}
	})
}
