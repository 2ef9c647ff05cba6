package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// change is a service as one change left it.
type change struct {
	name, path string
	upstream   int // 0 or 1
}

// written is the service that a writer's turn adds or, every other turn, changes.
func written(prefix string, writer, turn int) change {
	name := fmt.Sprintf("%s-%02d-%05d", prefix, writer, turn/2)
	if turn%2 == 1 {
		return change{name, "/changed-" + name, 1}
	}
	return change{name, "/" + name, 0}
}

func (c change) query(ports []int) url.Values {
	return demo(c.name, ports[c.upstream], "servicePath", c.path)
}

// lastChanges are the last change of each service, after so many turns of each writer.
func lastChanges(prefix string, turns []int) []change {
	var last []change
	for w, n := range turns {
		for turn := range n {
			if turn%2 == 1 || turn == n-1 {
				last = append(last, written(prefix, w, turn))
			}
		}
	}
	return last
}

// noneLost: every service is in the state and routed as its last change asked for.
func noneLost(b *testing.B, r *replica, want []change) {
	b.Helper()
	list := decode[struct{ Services []struct{ Name string } }](b, get(b, r.url("/v1/services")))
	listed := map[string]bool{}
	for _, s := range list.Services {
		listed[s.Name] = true
	}
	wires := make([]wire, writers)
	done, err := inTurns(len(want), 5*time.Minute, func(w, i int) error {
		if !listed[want[i].name] {
			return fmt.Errorf("%s is not in /v1/services", want[i].name)
		}
		wires[w].addr = loopback(r.http)
		return want[i].isRouted(b.Context(), &wires[w])
	})
	for i := range wires {
		wires[i].close()
	}
	if err != nil || done != len(want) {
		b.Fatalf("changes are lost: %d of %d services are routed: %v", done, len(want), err)
	}
}

func (c change) isRouted(ctx context.Context, w *wire) error {
	got, err := w.do(ctx, rawRequest(c.path+"/x", ""))
	if want := []string{"one", "two"}[c.upstream]; err != nil || got.status != http.StatusOK || got.backend != want {
		return fmt.Errorf("%s should reach %s: %v, error %v", c.path, want, got, err)
	}
	return nil
}
