package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// loadedServices are under load while others, or they themselves, are changed.
const loadedServices = 4

// underLoad is a replica with services under load, whose backends are on two ports.
type underLoad struct {
	*replica
	ports   [2]int
	traffic *traffic
	loads   uint64 // before
}

func startUnderLoad(t testing.TB) *underLoad {
	t.Helper()
	u := &underLoad{replica: startReplica(t, "local"), ports: [2]int{startBackend(t, "one"), startBackend(t, "one")}}
	var paths []string
	for i := range loadedServices {
		u.reconfigure(t, loadedName(i), u.ports[0], "wait", "none")
		paths = append(paths, "/"+loadedName(i))
	}
	eventually(t, patience, "the services are live", u.fresh)
	u.loads = u.generation(t)
	u.traffic = startTraffic(t, loopback(u.http), "one", paths...)
	return u
}

func loadedName(i int) string { return fmt.Sprintf("loaded-%d", i) }

func (r *replica) generation(t testing.TB) uint64 {
	t.Helper()
	s, err := r.own()
	if err != nil {
		t.Fatal(err)
	}
	return s.Generation
}

// changeAtRuntime makes the i-th of a series of changes of plain services: one is added,
// changed and removed, then a service under load moves to the other port.
func (u *underLoad) changeAtRuntime(t testing.TB, i int) {
	t.Helper()
	round := i / 4
	name, backend := fmt.Sprintf("passing-%d", round), "one"
	var err error
	switch i % 4 {
	case 0:
		u.reconfigure(t, name, u.ports[0])
		err = u.routed("/"+name, backend)
	case 1:
		u.reconfigure(t, name, u.ports[1], "servicePath", "/changed-"+name)
		err = u.routed("/changed-"+name, backend)
	case 2:
		mustStatus(t, u.dfp("remove", url.Values{"serviceName": {name}}), http.StatusOK)
		err = expectStatus(u.request("/changed-"+name), http.StatusServiceUnavailable)
	case 3:
		u.reconfigure(t, loadedName(round%loadedServices), u.ports[1-round/loadedServices%2])
	}
	if err != nil {
		t.Errorf("change %d is not live: %v", i, err)
	}
}

// load makes HAProxy load its configuration, mostly because it is asked to, now and then
// because a service needs it.
func (u *underLoad) load(t testing.TB, i int) {
	t.Helper()
	if i%10 != 5 {
		mustStatus(t, u.dfp("reload", url.Values{"recreate": {"true"}}), http.StatusOK)
		return
	}
	name := fmt.Sprintf("with-header-%d", i)
	u.reconfigure(t, name, u.ports[0], "addReqHeader", fmt.Sprintf("X-Load %d", i))
	if err := u.routed("/"+name, "one"); err != nil {
		t.Error(err)
	}
}

// changes makes n changes with a pause after each, in about as much time as is given, and
// returns how many it were.
func changes(t testing.TB, n int, pause, limit time.Duration, change func(t testing.TB, i int)) int {
	t.Helper()
	since := time.Now()
	for i := range n {
		if time.Since(since) > limit {
			return i
		}
		change(t, i)
		time.Sleep(pause) // the pace of the changes
	}
	return n
}

// TestRuntimeChangesCostNoRequest: whoever uses other services, or one whose address
// changes, notices nothing.
func TestRuntimeChangesCostNoRequest(t *testing.T) {
	u := startUnderLoad(t)
	changes(t, 20, 20*time.Millisecond, time.Hour, u.changeAtRuntime)
	u.traffic.finish(t, 2_000)
	if loads := u.generation(t) - u.loads; loads > 0 {
		t.Errorf("20 changes of plain services took %d loads, want none", loads)
	}
}

// TestLoadsCostNoRequest: what takes a load of HAProxy is not noticed either.
func TestLoadsCostNoRequest(t *testing.T) {
	u := startUnderLoad(t)
	changes(t, 8, 500*time.Millisecond, time.Hour, u.load)
	u.traffic.finish(t, 2_000)
	eventually(t, patience, "8 loads are told", func() error { // the list of replicas follows a little later
		if loads := u.generation(t) - u.loads; loads < 8 {
			return fmt.Errorf("%d loads", loads)
		}
		return nil
	})
	t.Logf("%v during %d loads", u.traffic, u.generation(t)-u.loads)
}
