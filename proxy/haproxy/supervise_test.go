package haproxy_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/crdt/service"
	"sluice/deploy/testport"
	"sluice/proxy"
	"sluice/proxy/haproxy"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestNothingIsBoundBeforeTheStateIsReady(t *testing.T) {
	r := newRig(t, func(r *rig, _ *proxy.Config) { r.source.desired.Ready = false })
	if _, err := net.DialTimeout("tcp", "127.0.0.1:"+itoa(r.http), time.Second); err == nil {
		t.Error("the entry port is open before the state is ready")
	}
	if err := r.controller.Reload(t.Context(), true); !errors.Is(err, proxy.ErrNotReady) {
		t.Errorf("reload: got %v, want ErrNotReady", err)
	}
	r.source.mu.Lock()
	r.source.desired.Ready = true
	r.source.mu.Unlock()
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	r.goes(call{path: "/x"}, "x")
	if !r.controller.Report().Ready {
		t.Error("not ready")
	}
}

func TestUnresolvableNamesHarmNobody(t *testing.T) {
	r := newRig(t, func(r *rig, cfg *proxy.Config) { cfg.Lookup = hosts(map[string]string{"good": "127.0.0.1"}) })
	r.publish("serviceName=bad&servicePath=/bad&port=80")
	good := echo(t, "good")
	r.reconfigure("serviceName=good&servicePath=/good&port=" + good)
	r.goes(call{path: "/good"}, "good")
	if a := r.do(call{path: "/bad"}); a.status != 503 {
		t.Errorf("unresolvable: status %d, want 503", a.status)
	}
	told := func(notes []string, name string) bool {
		return slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "host "+name+" does not resolve") })
	}
	for name, want := range map[string]bool{"bad": true, "good": false} {
		if a := r.why(call{path: "/" + name}); told(a.Notes, name) != want || told(r.controller.Report().Notes, name) != want {
			t.Errorf("%s: notes %q, of a request %q", name, r.controller.Report().Notes, a.Notes)
		}
	}
	r.reconfigure("serviceName=late&servicePath=/late&port=80") // by commands, others by a load
	got := scraped(t, haproxy.NewStatistics(r.config.Socket, r.controller.AtRest))
	for backend, up := range map[string]int{"bad-be80_0": 0, "late-be80_0": 0, "good-be" + good + "_0": 1} {
		if line := fmt.Sprintf("haproxy_backend_up{backend=%q} %d\n", backend, up); !strings.Contains(got, line) {
			t.Errorf("no %s in\n%s", line, got)
		}
	}
	r.await("the readable server line", func() bool { return strings.Contains(r.file(proxy.ConfigFile), "server good good:") })
}

func TestAddressesThatChangeAreFollowed(t *testing.T) {
	table := map[string]string{}
	var mu sync.Mutex
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Resolve = 50 * time.Millisecond
		cfg.Lookup = lookupLocked(&mu, table)
	})
	r.reconfigure("serviceName=late&servicePath=/late&port=" + echo(t, "late"))
	if a := r.do(call{path: "/late"}); a.status != 503 {
		t.Errorf("status %d, want 503", a.status)
	}
	mu.Lock()
	table["late"] = "127.0.0.1"
	mu.Unlock()
	r.await("the name to be followed", func() bool { a, err := r.try(call{path: "/late"}); return err == nil && a.status == 200 })
}

func TestDeadHAProxyComesBack(t *testing.T) {
	r := newRig(t)
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	for range 2 {
		r.kill()
		r.await("haproxy to be back", func() bool {
			a, err := r.try(call{path: "/x"})
			return err == nil && a.seen.Backend == "x" && r.controller.Report().Up
		})
	}
}

// broken is canonical and valid for the door, but HAProxy refuses it.
func (r *rig) broken(query string) (string, []byte) {
	r.Helper()
	name, value := r.value(query)
	s, err := service.Decode(value)
	if err != nil {
		r.Fatal(err)
	}
	s.BackendExtra = "no-such-directive x"
	value, err = s.Canonical()
	if err != nil {
		r.Fatal(err)
	}
	return name, value
}

func raw(_ *rig, cfg *proxy.Config) { cfg.Limits = service.Limits{AllowRaw: true} }

func TestQuarantine(t *testing.T) {
	r := newRig(t, raw)
	a, b := echo(t, "a"), echo(t, "b")
	good := "serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + a
	r.reconfigure(good)
	r.reconfigure("serviceName=y&servicePath=/y&outboundHostname=127.0.0.1&port=" + b)

	t.Run("the last good version keeps serving", func(t *testing.T) {
		r.TB = t
		r.live(r.source.put(r.broken("serviceName=x&servicePath=/x,/new&outboundHostname=127.0.0.1&port=" + b)))
		r.goes(call{path: "/x"}, "a")
		r.goes(call{path: "/new"}, "")
		r.goes(call{path: "/y"}, "b")
		q := r.controller.Report().Quarantine
		if len(q) != 1 || q[0].Service != "x" || q[0].Serving == "" || !strings.Contains(q[0].Reason, "no-such-directive") {
			t.Errorf("quarantine: %+v", q)
		}
	})
	t.Run("many bad ones at once harm no good one", func(t *testing.T) {
		r.TB = t
		for i := range 4 {
			r.source.put(r.broken(fmt.Sprintf("serviceName=bad%d&servicePath=/bad%d&outboundHostname=127.0.0.1&port=%s", i, i, b)))
		}
		r.source.put("undecodable", []byte("{"))
		r.reconfigure("serviceName=z&servicePath=/z&outboundHostname=127.0.0.1&port=" + b)
		r.goes(call{path: "/z"}, "b")
		r.goes(call{path: "/bad1"}, "")
		if q := r.controller.Report().Quarantine; len(q) != 6 {
			t.Errorf("quarantine: %+v", q)
		}
	})
	t.Run("a new version lifts it", func(t *testing.T) {
		r.TB = t
		r.reconfigure("serviceName=x&servicePath=/x,/new&outboundHostname=127.0.0.1&port=" + b)
		r.goes(call{path: "/new"}, "b")
	})
}

func TestQuarantineServesAnEarlierVersionFromTheLog(t *testing.T) {
	r := newRig(t, raw)
	_, old := r.value("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "old"))
	_, worse := r.broken("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=81")
	r.mu.Lock()
	r.earlier["x"] = [][]byte{worse, old}
	r.mu.Unlock()
	r.live(r.source.put(r.broken("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=82")))
	r.goes(call{path: "/x"}, "old")
}

func TestABusyEntryPortCostsItsServiceOnly(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.publish("serviceName=taken&reqMode=tcp&outboundHostname=127.0.0.1&port=1&srcPort=" + itoa(l.Addr().(*net.TCPAddr).Port))
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	r.goes(call{path: "/x"}, "x")
	if q := r.controller.Report().Quarantine; len(q) != 1 || q[0].Service != "taken" {
		t.Errorf("quarantine: %+v", q)
	}
}

func TestARefusalWhoseCausePassesEnds(t *testing.T) {
	r := newRig(t, func(_ *rig, cfg *proxy.Config) { cfg.Ban = 100 * time.Millisecond })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	r.publish("serviceName=waits&reqMode=tcp&outboundHostname=127.0.0.1&port=" + echo(t, "waits") + "&srcPort=" + itoa(port))
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r.await("the port is taken into use", func() bool {
		_, err := r.try(call{path: "/", port: port})
		return err == nil
	})
	r.goes(call{path: "/", port: port}, "waits")
	r.goes(call{path: "/x"}, "x")
}

func TestTheSchemeOfCredentialsIsInAnyCase(t *testing.T) {
	r := newRig(t)
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&users=ann:secret&port=" + echo(t, "x"))
	for _, scheme := range []string{"Basic", "basic", "BASIC"} {
		credentials := scheme + " " + base64.StdEncoding.EncodeToString([]byte("ann:secret"))
		got := r.do(call{path: "/x", header: http.Header{"Authorization": {credentials}}})
		if got.status != 200 {
			t.Errorf("%s: status %d", scheme, got.status)
		}
	}
}

func TestTCPAndGreeting(t *testing.T) {
	r := newRig(t)
	plain, shared := testport.Free(t), testport.Free(t)
	r.publish("serviceName=a&reqMode=tcp&outboundHostname=127.0.0.1&port=" + echo(t, "a") + "&srcPort=" + itoa(plain))
	for _, name := range []string{"b", "c"} {
		r.publish("serviceName=" + name + "&reqMode=tcp&outboundHostname=127.0.0.1&serviceDomain=" + name + ".test&port=" + tlsEcho(t, name) + "&srcPort=" + itoa(shared))
	}
	r.live(r.source.Desired().Seq)
	r.goes(call{path: "/", port: plain}, "a")
	for _, name := range []string{"b", "c"} {
		r.goes(call{path: "/", port: shared, tls: true, host: name + ".test"}, name)
	}
}

func TestFortyChangesAtOnceAreFewLoads(t *testing.T) {
	r := newRig(t, func(_ *rig, cfg *proxy.Config) { cfg.Interval = 300 * time.Millisecond })
	port := echo(t, "x")
	r.reconfigure("serviceName=first&servicePath=/first&outboundHostname=127.0.0.1&port=" + port)
	before := r.controller.Report().Generation
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			r.publish(fmt.Sprintf("serviceName=s%d&servicePath=/s%d/&outboundHostname=127.0.0.1&port=%s", i, i, port))
		})
	}
	group.Wait()
	r.live(r.source.Desired().Seq)
	for i := range 40 {
		r.goes(call{path: fmt.Sprintf("/s%d/", i)}, "x")
	}
	if loads := r.controller.Report().Generation - before; loads > 5 {
		t.Errorf("%d loads for 40 changes", loads)
	}
}

func TestReload(t *testing.T) {
	r := newRig(t)
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	text, err := r.controller.Config(t.Context()) // what is still to be written is written before
	if err != nil {
		t.Fatal(err)
	}
	edited := string(text) + "\nbackend by-hand\n    mode http\n"
	if err := os.WriteFile(proxy.ConfigPath(&r.options), []byte(edited), 0o640); err != nil {
		t.Fatal(err)
	}
	before := r.controller.Report().Generation
	if err := r.controller.Reload(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if text := r.file(proxy.ConfigFile); !strings.Contains(text, "by-hand") || r.controller.Report().Generation != before+1 {
		t.Errorf("the edited file was not loaded as it is (generation %d after %d)", r.controller.Report().Generation, before)
	}
	if err := r.controller.Reload(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if text := r.file(proxy.ConfigFile); strings.Contains(text, "by-hand") {
		t.Error("recreate kept the edit")
	}
	r.goes(call{path: "/x"}, "x")
}

func TestCheckNamesTheParameter(t *testing.T) {
	r := newRig(t, raw)
	s := service.Service{Name: "x", Destinations: []service.Destination{
		{Port: 80, ReqMode: service.HTTP, PathType: "path_reg", ServicePath: []string{"^/(broken"}},
	}}
	var refused *proxy.Refusal
	if err := r.controller.Check(t.Context(), s); !errors.As(err, &refused) || refused.Param != "servicePath" {
		t.Errorf("got %v, want a refusal of servicePath", err)
	}
	s.Destinations[0].ServicePath = []string{"^/fine"}
	if err := r.controller.Check(t.Context(), s); err != nil {
		t.Errorf("a good definition: %v", err)
	}
}

func TestFind(t *testing.T) {
	if _, err := haproxy.Find(t.Context(), "/nonexistent/haproxy"); !errors.Is(err, haproxy.ErrMissing) || !strings.Contains(err.Error(), "install") {
		t.Errorf("missing program: %v", err)
	}
	old := t.TempDir() + "/haproxy"
	script := "#!/bin/sh\necho 'HA-Proxy version 1.8.13 2018/07/30'\n"
	if err := os.WriteFile(old, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := haproxy.Find(t.Context(), old); !errors.Is(err, haproxy.ErrTooOld) {
		t.Errorf("old program: %v", err)
	}
}

func TestDeadHAProxyComesBackWithTheLastGoodFiles(t *testing.T) {
	var full atomic.Bool
	r := newRig(t, func(_ *rig, cfg *proxy.Config) {
		cfg.WriteFile = func(path string, data []byte, mode fs.FileMode) error {
			if full.Load() {
				return syscall.ENOSPC
			}
			return writeFile(path, data, mode)
		}
	})
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	r.flushed()
	full.Store(true) // nobody's definition is to blame: nothing new can be loaded
	r.publish("serviceName=y&servicePath=/y&isDefaultBackend=true&outboundHostname=127.0.0.1&port=" + echo(t, "y"))
	r.await("the error to be reported", func() bool { return r.controller.Report().LastError != "" })
	r.goes(call{path: "/x"}, "x")
	r.kill()
	r.await("haproxy to be back", func() bool { a, err := r.try(call{path: "/x"}); return err == nil && a.seen.Backend == "x" })
	if q := r.controller.Report().Quarantine; len(q) != 0 {
		t.Errorf("a service is blamed for the full disk: %+v", q)
	}
	full.Store(false)
	r.live(r.source.Desired().Seq)
	r.goes(call{path: "/y"}, "y")
}

// flushed makes the files those of what HAProxy serves.
func (r *rig) flushed() {
	r.Helper()
	if _, err := r.controller.Config(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// kill ends this rig's HAProxy processes by force.
func (r *rig) kill() {
	r.Helper()
	out, err := exec.Command("pgrep", "-f", "haproxy .*"+r.options.CfgDir+"/haproxy.cfg").Output()
	if err != nil {
		r.Fatal(err)
	}
	for _, pid := range strings.Fields(string(out)) {
		n, err := strconv.Atoi(pid)
		if err != nil {
			r.Fatal(err)
		}
		_ = syscall.Kill(n, syscall.SIGKILL) // it may have ended with its master
	}
}

// TestRemovedDirectoriesComeBack: whatever of the configuration somebody removes, a HAProxy that
// dies then comes back with all of it.
func TestRemovedDirectoriesComeBack(t *testing.T) {
	port := echo(t, "x")
	for _, dir := range []string{"maps", "certs"} {
		t.Run(dir, func(t *testing.T) {
			r := newRig(t)
			r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + port)
			r.flushed()
			if err := os.RemoveAll(filepath.Join(r.options.CfgDir, dir)); err != nil {
				t.Fatal(err)
			}
			r.kill()
			r.await("haproxy to be back", func() bool {
				a, err := r.try(call{path: "/x"})
				report := r.controller.Report()
				return err == nil && a.seen.Backend == "x" && report.Up && report.Ready && report.LastError == ""
			})
			r.reconfigure("serviceName=y&servicePath=/y&isDefaultBackend=true&outboundHostname=127.0.0.1&port=" + port)
			r.goes(call{path: "/y"}, "x")
		})
	}
}
