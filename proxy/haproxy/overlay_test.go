package haproxy_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/deploy/testport"
	"sluice/proxy"
)

// overlay puts an overlay over a service, "" lifts it, and returns the position of the change.
func (m *memory) overlay(name, text string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.desired.Seq++
	list := slices.DeleteFunc(slices.Clone(m.desired.Overlays), func(it proxy.Item) bool { return it.Name == name })
	if text != "" {
		list = append(list, proxy.Item{Name: name, Version: fmt.Sprintf("v%d", m.desired.Seq), Value: []byte(text)})
		slices.SortFunc(list, func(a, b proxy.Item) int { return strings.Compare(a.Name, b.Name) })
	}
	m.desired.Overlays = list
	close(m.changed)
	m.changed = make(chan struct{})
	return m.desired.Seq
}

func (r *rig) overlay(name, text string) {
	r.Helper()
	r.live(r.source.overlay(name, text))
}

// twins are two backends on one port of two addresses.
func twins(t *testing.T, one, two string) (port string) {
	t.Helper()
	port = echo(t, one)
	echoOn(t, two, "127.0.0.2:"+port)
	return port
}

// spread counts which backends n requests reach, "" for none.
func (r *rig) spread(n int, c call) map[string]int {
	r.Helper()
	counts := map[string]int{}
	for range n {
		counts[r.do(c).seen.Backend]++
	}
	return counts
}

func (r *rig) spreads(c call, want map[string]int) {
	r.Helper()
	n := 0
	for _, count := range want {
		n += count
	}
	got := r.spread(n, c)
	for name, count := range want { // with two threads HAProxy may begin its round anywhere
		if got[name] < count-1 || got[name] > count+1 || count == 0 && got[name] > 0 {
			r.Errorf("%s: the requests reach %v, want %v", c.path, got, want)
			return
		}
	}
}

// twinTable resolves a host, and the tasks of a service, to the addresses of twins.
func twinTable(_ *rig, cfg *proxy.Config) {
	cfg.Lookup = hosts(map[string]string{"twins": "127.0.0.1 127.0.0.2", "tasks.bound": "127.0.0.1 127.0.0.2"})
}

func TestOverlaysNeedNoLoad(t *testing.T) {
	r := newRig(t, twinTable, agreeing)
	port := twins(t, "one", "two")
	for name, query := range map[string]string{
		"plain": "", "own": "&users=u:p", "bound": "&sessionType=sticky-server", "looked": "&discoveryType=DNS", "raw": "&timeoutTunnel=7200",
	} {
		r.reconfigure("serviceName=" + name + "&servicePath=/" + name + "&outboundHostname=twins&port=" + port + query)
	}
	r.reconfigure("serviceName=late&servicePath=/late&outboundHostname=twins&port=" + port)
	r.await("sections of their own", func() bool { return strings.Contains(r.socket("show backend"), "own-be") })
	if err := r.controller.Reload(t.Context(), true); err != nil { // own backends for all, and after that one of the pool
		t.Fatal(err)
	}
	r.reconfigure("serviceName=pooled&servicePath=/pooled&outboundHostname=twins&port=" + port)
	generation := r.controller.Report().Generation
	auth := http.Header{"Authorization": {"Basic dTpw"}}
	both := map[string]int{"one": 10, "two": 10}
	for _, name := range []string{"plain", "own", "bound", "looked", "raw", "late", "pooled"} {
		c := call{path: "/" + name, header: auth}
		for _, step := range []struct {
			overlay string
			want    map[string]int
		}{
			{"", both},
			{`{"servers":{"127.0.0.1":{"weight":30},"127.0.0.2":{"weight":10}}}`, map[string]int{"one": 15, "two": 5}},
			{`{"servers":{"127.0.0.1":{"weight":30,"state":"drain"}}}`, map[string]int{"one": 0, "two": 10}},
			{`{"servers":{"127.0.0.1:` + port + `":{"state":"maint"}}}`, map[string]int{"one": 0, "two": 10}},
			{`{"state":"maint","servers":{"127.0.0.1":{"state":"ready"}}}`, map[string]int{"one": 10, "two": 0}},
			{`{"state":"drain"}`, map[string]int{"": 5}},
			{`{"destinations":{"0":{"state":"maint"}}}`, map[string]int{"": 5}},
			{`{"servers":{"twins:` + port + `":{"weight":5}}}`, both},
			{`{"servers":{"10.9.9.9":{"state":"maint"}}}`, both},
			{"", both},
		} {
			r.overlay(name, step.overlay)
			r.spreads(c, step.want)
			if t.Failed() {
				t.Fatalf("%s with %s\n%s", name, step.overlay, r.socket("show servers state"))
			}
		}
	}
	r.agrees()
	if now := r.controller.Report().Generation; now != generation {
		t.Errorf("%d loads were made for overlays", now-generation)
	}
}

func TestOverlaysOutliveLoadsAndDeaths(t *testing.T) {
	r := newRig(t, twinTable, agreeing)
	port := twins(t, "one", "two")
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=twins&port=" + port)
	r.overlay("x", `{"servers":{"127.0.0.1":{"weight":3},"127.0.0.2":{"state":"maint"}}}`)
	check := func(when string) {
		t.Helper()
		r.spreads(call{path: "/x"}, map[string]int{"one": 6, "two": 0})
		r.agrees()
		if t.Failed() {
			t.Fatal(when)
		}
	}
	check("at once")
	r.reconfigure("serviceName=x&servicePath=/x,/y&outboundHostname=twins&port=" + port)
	check("after another definition")
	if err := r.controller.Reload(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	check("after a load")
	masters, orphans := r.masters(), r.workers()
	r.signal(masters, syscall.SIGKILL)
	r.await("another HAProxy alone", func() bool {
		left := slices.ContainsFunc(r.workers(), func(pid int) bool { return slices.Contains(orphans, pid) })
		return !left && !slices.Equal(masters, r.masters()) && r.controller.Report().Ready && r.asDesiredAt("/x", "one")
	})
	check("after its death")
	r.live(r.source.remove("x"))
	r.goes(call{path: "/x"}, "")
	r.overlay("x", `{"servers":{"127.0.0.1":{"state":"maint"}}}`)
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=twins&port=" + port)
	r.spreads(call{path: "/x"}, map[string]int{"one": 0, "two": 6})
	r.overlay("x", "")
	r.spreads(call{path: "/x"}, map[string]int{"one": 6, "two": 6})
}

func (r *rig) asDesiredAt(path, backend string) bool {
	a, err := r.try(call{path: path})
	return err == nil && a.seen.Backend == backend
}

// Clients bound to a server by a cookie stay with it while it is drained, not in maintenance.
func TestDrainKeepsWhoIsBound(t *testing.T) {
	r := newRig(t, twinTable, agreeing)
	r.reconfigure("serviceName=bound&servicePath=/&sessionType=sticky-server&port=" + twins(t, "one", "two"))
	bound := call{path: "/", header: http.Header{}}
	for bound.header.Get("Cookie") == "" {
		if a := r.do(call{path: "/"}); a.seen.Backend == "one" {
			cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
			bound.header.Set("Cookie", cookie)
		}
	}
	r.overlay("bound", `{"servers":{"127.0.0.1":{"state":"drain"}}}`)
	r.goes(bound, "one")
	r.spreads(call{path: "/"}, map[string]int{"one": 0, "two": 6})
	r.overlay("bound", `{"servers":{"127.0.0.1":{"state":"maint"}}}`)
	r.goes(bound, "two")
}

// A request that is under way is finished, whatever comes over its service.
func TestOverlaysLetRequestsFinish(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	t.Cleanup(backend.Close)
	r := newRig(t)
	r.reconfigure("serviceName=slow&servicePath=/slow&outboundHostname=127.0.0.1&port=" + backend.URL[strings.LastIndexByte(backend.URL, ':')+1:])
	for _, state := range []string{"drain", "maint"} {
		r.overlay("slow", "")
		status := make(chan int, 1)
		go func() {
			a, err := r.try(call{path: "/slow"})
			if err != nil {
				a.status = 0
			}
			status <- a.status
		}()
		<-arrived
		r.overlay("slow", `{"state":"`+state+`"}`)
		if a := r.do(call{path: "/slow"}); a.status != http.StatusServiceUnavailable {
			t.Errorf("%s: a new request: %d", state, a.status)
		}
		release <- struct{}{}
		if got := <-status; got != http.StatusOK {
			t.Errorf("%s: the request under way ended with %d", state, got)
		}
	}
}

// Where HAProxy lays out weights once and for all, drain and maintenance need no load all
// the same; only a weight of its own does.
func TestOverlaysOverFixedBalancing(t *testing.T) {
	r := newRig(t, raw, twinTable, agreeing)
	port := twins(t, "one", "two")
	r.publish("serviceName=x&servicePath=/x&outboundHostname=twins&port=" + port)
	entry := testport.Free(t)
	name, value := r.value("serviceName=g&reqMode=tcp&outboundHostname=twins&serviceGroup=g&balanceGroup=static-rr&port=" + port + "&srcPort=" + strconv.Itoa(entry))
	r.live(r.source.put(name, value))
	c := call{path: "/g", port: entry}
	generation := r.controller.Report().Generation
	r.overlay("g", `{"servers":{"127.0.0.2":{"state":"drain"}}}`)
	r.spreads(c, map[string]int{"one": 6, "two": 0})
	r.overlay("g", `{"servers":{"127.0.0.2":{"state":"maint"}}}`)
	r.spreads(c, map[string]int{"one": 6, "two": 0})
	r.overlay("g", "")
	r.spreads(c, map[string]int{"one": 6, "two": 6})
	if now := r.controller.Report().Generation; now != generation {
		t.Errorf("%d loads were made", now-generation)
	}
	r.overlay("g", `{"servers":{"127.0.0.2":{"weight":3}}}`)
	r.spreads(c, map[string]int{"one": 5, "two": 15})
	r.overlay("g", `{"state":"drain"}`)
	if err := r.controller.Reload(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	r.overlay("g", "")
	r.spreads(c, map[string]int{"one": 6, "two": 6})
	r.agrees()
}

func TestAnUnreadableOverlayHarmsNobody(t *testing.T) {
	r := newRig(t)
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "a"))
	r.overlay("x", `{"state":"maint"}`)
	r.goes(call{path: "/x"}, "")
	for _, text := range []string{`{"state":"asleep"}`, `{`, `{"servers":{"a b":{"state":"maint"}}}`, `{"weight":1e9}`} {
		r.overlay("x", text)
		r.goes(call{path: "/x"}, "a")
		if notes := r.controller.Report().Notes; len(notes) != 1 || !strings.Contains(notes[0], "service x: its overlay is not in force") {
			t.Errorf("%s: notes %q", text, notes)
		}
	}
	r.overlay("x", `{"servers":{"10.9.9.9":{"state":"maint"}}}`)
	if notes := r.controller.Report().Notes; len(notes) != 1 || !strings.Contains(notes[0], "server 10.9.9.9") {
		t.Errorf("notes %q", notes)
	}
}

func TestWhatSomebodyElseDoesToServersIsRepaired(t *testing.T) {
	r := newRig(t, twinTable)
	port := twins(t, "one", "two")
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=twins&port=" + port)
	r.reconfigure("serviceName=y&servicePath=/y&outboundHostname=twins&port=" + port)
	r.overlay("x", `{"servers":{"127.0.0.1":{"weight":5},"127.0.0.2":{"state":"maint"}}}`)
	generation := r.controller.Report().Generation
	backend := func(name string) string {
		return strings.Fields(lineWith(r.socket("show servers state"), " "+name+" "))[1]
	}
	x, y := backend("x"), backend("y")
	r.socket("set server "+x+"/x weight 9", "set server "+x+"/x_2 state ready", "set server "+y+"/y state drain", "set server "+y+"/y_2 weight 0")
	r.socket("clear map maps/routes-any.map", "set server "+y+"/y_2 state maint", "del server "+y+"/y_2")
	r.live(r.source.remove("y")) // refused, which shows that something is wrong
	r.reconfigure("serviceName=y&servicePath=/y&outboundHostname=twins&port=" + port)
	r.agrees()
	r.spreads(call{path: "/x"}, map[string]int{"one": 6, "two": 0})
	r.spreads(call{path: "/y"}, map[string]int{"one": 6, "two": 6})
	if now := r.controller.Report().Generation; now != generation {
		t.Errorf("repaired by %d loads", now-generation)
	}
}

// Every replica that starts with overlays in its state starts with them in force.
func TestOverlaysAreInForceFromTheStart(t *testing.T) {
	port := twins(t, "one", "two")
	r := newRig(t, twinTable, func(r *rig, _ *proxy.Config) {
		name, value := r.value("serviceName=x&servicePath=/x&outboundHostname=twins&port=" + port)
		r.source.put(name, value)
		r.source.overlay("x", `{"servers":{"127.0.0.2":{"state":"drain"}}}`)
	})
	r.await("the first load", func() bool { return r.controller.Report().Ready })
	r.spreads(call{path: "/x"}, map[string]int{"one": 6, "two": 0})
	if !strings.Contains(r.file(proxy.ConfigFile), "server x_2 twins:"+port+" weight 0 ") {
		t.Error("the file does not say so")
	}
}

// posted are the servers of the files, by backend and name, with address, weight and state.
func (r *rig) posted() map[string]string {
	r.Helper()
	list, backend := map[string]string{}, ""
	for line := range strings.Lines(r.file(proxy.ConfigFile)) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && slices.Contains([]string{"backend", "listen", "frontend"}, f[0]):
			backend = f[1]
		case len(f) > 2 && f[0] == "server":
			weight, state := "1", "ready"
			for i, word := range f {
				if word == "weight" {
					weight = f[i+1]
				}
				if word == "disabled" {
					state = "maint"
				}
			}
			list[backend+"/"+f[1]] = weight + " " + state
		}
	}
	return list
}

// staffed are the servers in HAProxy in the same form; of two backends that stand for one at
// rest the one of the pool has the requests.
func (r *rig) staffed() map[string]string {
	r.Helper()
	list := map[string]string{}
	state := slices.Sorted(strings.Lines(r.socket("show servers state")))
	for _, pooled := range []bool{false, true} {
		for _, line := range state {
			f := strings.Fields(line)
			if len(f) < 19 || strings.HasPrefix(f[1], "pool:") != pooled {
				continue
			}
			admin, err := strconv.Atoi(f[6])
			if err != nil {
				continue // the heading
			}
			word := "ready"
			if admin&0x01 != 0 {
				word = "maint"
			}
			if admin&0x08 != 0 {
				word = "drain"
			}
			list[r.controller.AtRest(f[1])+"/"+f[3]] = f[7] + " " + word
		}
	}
	return list
}

// difference is what HAProxy holds otherwise than the files say, "" for nothing.
func (r *rig) difference() string {
	r.Helper()
	files, held := r.written(), r.held()
	staffed := r.staffed()
	for name, is := range r.posted() {
		files["server "+name], held["server "+name] = is, staffed[name]
	}
	return cmp.Diff(files, held)
}

// randomOverlay comes over one of the services of randomQuery.
func (r *rig) randomOverlay(random *rand.Rand, ports []string) uint64 {
	texts := []string{
		"", `{"state":"drain"}`, `{"state":"maint"}`, `{"weight":5}`, `{"servers":{"127.0.0.1":{"weight":2}}}`,
		`{"state":"maint","servers":{"127.0.0.1:` + ports[random.IntN(len(ports))] + `":{"state":"drain"}}}`, `{"state":"unknown"}`,
	}
	return r.source.overlay(fmt.Sprintf("s%d", random.IntN(8)), texts[random.IntN(len(texts))])
}
