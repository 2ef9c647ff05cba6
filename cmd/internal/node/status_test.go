package node

import (
	"testing"

	"sluice/events"
	"sluice/proxy"
)

func TestLiveIsOfTheLogThatServes(t *testing.T) {
	report := proxy.Report{StreamID: "s", Seq: 100}
	for name, c := range map[string]struct {
		view events.View
		want uint64
	}{
		"the same position": {events.View{StreamID: "s", Seq: 100}, 100},
		"behind the state":  {events.View{StreamID: "s", Seq: 107}, 100},
		"of another log":    {events.View{StreamID: "other", Seq: 107}, 0},
		"of a lost tail":    {events.View{StreamID: "s", Seq: 91}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := live(c.view, report); got != c.want {
				t.Errorf("live %d, want %d", got, c.want)
			}
		})
	}
}
