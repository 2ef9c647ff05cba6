package consul

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

// Whatever decodes has only keys and sizes that may be used, and survives another round.
func FuzzDecodeManifest(f *testing.F) {
	snap := events.Snapshot{Namespace: "edge", Taken: time.Unix(1, 0), State: &events.State{StreamID: "s", Anchor: events.Anchor{Seq: 3}, Map: crdt.NewMap()}}
	m, _, err := describe(snap, make([]byte, 300<<10))
	if err != nil {
		f.Fatal(err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":1,"id":"../x","size":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeManifest(data)
		if err != nil {
			return
		}
		if _, ok := age(m.ID, time.Now()); !ok || m.Size < 0 || m.Size > maxChunks*chunkSize {
			t.Fatalf("accepted %+v", m)
		}
		again, err := json.Marshal(m)
		if err != nil {
			return // a time beyond year 9999
		}
		back, err := decodeManifest(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Errorf("second round (-first +second):\n%s", diff)
		}
	})
}
