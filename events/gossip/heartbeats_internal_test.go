package gossip

import (
	"fmt"
	"strings"
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
		if whole, err := toJSON(s); err != nil || len(whole) > maxStatus {
			return // grew beyond the limit: less of it is told
		}
		again, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, back, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("second round (-first +second):\n%s", diff)
		}
	})
}

// A replica tells something however much is wrong with it, and what it leaves out.
func TestStatusThatIsTooLong(t *testing.T) {
	broken := func(n, reason int) events.Status {
		s := events.Status{Node: "x", Name: "r", Live: 5, Reached: 9, Problem: "the disk is full"}
		for i := range n {
			s.Quarantine = append(s.Quarantine, events.Quarantined{
				Service: fmt.Sprintf("my-service-%05d", i), Version: fmt.Sprintf("01a214aa64%06x-a4920cc8453f7169", i),
				Reason: strings.Repeat("\u00e9", reason/2), Serving: "01a214aa648c0001-a4920cc8453f7169",
			})
		}
		return s
	}
	told := func(t *testing.T, s events.Status) events.Status {
		t.Helper()
		data, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > maxStatus || got.Node != s.Node || got.Live != s.Live {
			t.Errorf("%d bytes: %+v", len(data), got)
		}
		return got
	}
	t.Run("shorter reasons", func(t *testing.T) {
		got := told(t, broken(200, 1000))
		if len(got.Quarantine) != 200 || len(got.Quarantine[0].Reason) != shortReason || got.Problem != "the disk is full" || got.Reached != 9 {
			t.Errorf("%d quarantined, the first %+v, problem %q", len(got.Quarantine), got.Quarantine[0], got.Problem)
		}
	})
	t.Run("no reasons", func(t *testing.T) {
		if got := told(t, broken(400, 1000)); len(got.Quarantine) != 400 || got.Quarantine[0].Reason != "" {
			t.Errorf("%d quarantined, the first %+v", len(got.Quarantine), got.Quarantine[0])
		}
	})
	for _, n := range []int{500, 1000, 20_000} {
		t.Run(fmt.Sprint("the newest of ", n), func(t *testing.T) {
			s := broken(n, 20)
			got := told(t, s)
			kept := len(got.Quarantine)
			left := fmt.Sprintf("; %d more services are quarantined", n-kept)
			if kept < 400 || got.Quarantine[kept-1].Service != s.Quarantine[n-1].Service || kept < n && !strings.Contains(got.Problem, "the disk is full"+left) {
				t.Errorf("%d quarantined, the last %+v, problem %q", kept, got.Quarantine[kept-1], got.Problem)
			}
			if s.Quarantine[0].Reason == "" || s.Quarantine[0].Service != "my-service-00000" {
				t.Errorf("the caller's was changed: %+v", s.Quarantine[0])
			}
		})
	}
	t.Run("other lists and texts", func(t *testing.T) {
		s := broken(1, 10)
		s.Stale = strings.Repeat("s", 70_000)
		for i := range 10_000 {
			s.Behind = append(s.Behind, fmt.Sprint("slow-", i))
		}
		if got := told(t, s); len(got.Quarantine) != 1 || got.Reached != got.Live || len(got.Behind) != 0 || len(got.Stale) != shortText {
			t.Errorf("%+v", got)
		}
	})
}
