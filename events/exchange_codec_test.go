package events_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

// toldEvents are a put and a removal, with everything that an event may carry.
func toldEvents() []events.Event {
	one := events.EntryEvent("/sluice/test", put("a", at(1, 1<<63|1), `{"v":1}`))
	one.Actor, one.Origin, one.Seen = "ci", "api", "none"
	return []events.Event{one, events.EntryEvent("/sluice/test", removal("b", at(2, 1<<63|1)))}
}

func TestEventsRoundTrip(t *testing.T) {
	data, err := events.EncodeEvents(toldEvents())
	if err != nil {
		t.Fatal(err)
	}
	got, err := events.DecodeEvents(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(toldEvents(), got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for name, bad := range map[string][]byte{"cut short": data[:len(data)-1], "an event behind rubbish": append([]byte{1, 'x'}, data...)} {
		if list, err := events.DecodeEvents(bad); !errors.Is(err, events.ErrEvent) || list != nil {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// transfer is a state at sequence 9, audited up to 8.
func transfer() events.Transfer {
	before, last := events.Anchor{Seq: 8, Time: 8, Hash: [16]byte{8}}, events.Anchor{Seq: 9, Time: 9, Hash: [16]byte{9}}
	return events.Transfer{
		State: &events.State{StreamID: "s", Params: params(), Ref: 9, Anchor: last, Map: mapOf(put("a", at(1, 1<<63|1), `{"v":1}`))},
		Trail: []events.Anchor{before, last},
	}
}

func TestTransferRoundTrip(t *testing.T) {
	want := transfer()
	data, err := events.EncodeTransfer("edge", want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := events.DecodeTransfer("edge", data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Position() != want.Position() || !cmp.Equal(got.Trail, want.Trail) || !sameEntries(got.State.Map, want.State.Map) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := events.DecodeTransfer("other", data); !errors.Is(err, events.ErrForeignSnapshot) {
		t.Errorf("of another namespace: %v", err)
	}
	for cut := range 100 {
		if _, err := events.DecodeTransfer("edge", data[:cut]); !errors.Is(err, events.ErrCorruptSnapshot) {
			t.Errorf("the first %d bytes: %v", cut, err)
		}
	}
	want.Trail = want.Trail[:1] // does not lead to the state
	data, err = events.EncodeTransfer("edge", want)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.DecodeTransfer("edge", data); !errors.Is(err, events.ErrCorruptSnapshot) {
		t.Errorf("with a gap: %v", err)
	}
}

func FuzzDecodeEvents(f *testing.F) {
	data, err := events.EncodeEvents(toldEvents())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := events.DecodeEvents(data)
		if err != nil {
			return
		}
		again, err := events.EncodeEvents(list)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if back, err := events.DecodeEvents(again); err != nil || !cmp.Equal(entriesOf(list), entriesOf(back)) {
			t.Fatalf("%v, %v; want %v", back, err, list)
		}
	})
}

func entriesOf(list []events.Event) []crdt.Entry {
	var out []crdt.Entry
	for _, e := range list {
		out = append(out, e.Entry())
	}
	return out
}

func FuzzDecodeTransfer(f *testing.F) {
	data, err := events.EncodeTransfer("edge", transfer())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := events.DecodeTransfer("edge", data); err == nil && !got.Consistent() {
			t.Fatalf("an inconsistent transfer: %+v", got.Trail)
		}
	})
}
