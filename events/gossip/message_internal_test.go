package gossip

import (
	"bytes"
	"testing"
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
