package gossip

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/events"
)

// Whatever decodes can be told on and means the same there.
func FuzzDecode(f *testing.F) {
	data, err := encode(events.Status{Node: "n", Name: "a", Quarantine: []events.Quarantined{{Service: "s"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"node":"n","time":"2026-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decode(data)
		if err != nil {
			return
		}
		again, err := encode(s)
		if err != nil {
			return // grew beyond the limit
		}
		back, err := decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, back, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(events.Quarantined{}, "Reason")); diff != "" {
			t.Errorf("second round (-first +second):\n%s", diff)
		}
	})
}
