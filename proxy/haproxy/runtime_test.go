package haproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"sluice/proxy"
)

// remove takes one item out and returns the position of the change.
func (m *memory) remove(name string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.desired.Seq++
	m.desired.Items = slices.DeleteFunc(slices.Clone(m.desired.Items), func(it proxy.Item) bool { return it.Name == name })
	close(m.changed)
	m.changed = make(chan struct{})
	return m.desired.Seq
}

// socket asks HAProxy's worker, past the controller.
func (r *rig) socket(commands ...string) string {
	r.Helper()
	conn, err := net.Dial("unix", proxy.SocketPath(&r.options))
	if err != nil {
		return err.Error() // which is no answer that a test expects
	}
	defer conn.Close()
	var b strings.Builder
	if _, err := fmt.Fprintf(conn, "%s\n", strings.Join(commands, ";")); err != nil {
		return err.Error()
	}
	if _, err := io.Copy(&b, conn); err != nil {
		return err.Error()
	}
	return b.String()
}

// held are the lines of all maps in HAProxy, with the names at rest of backends.
func (r *rig) held() map[string]string {
	r.Helper()
	lines := map[string]string{}
	for line := range strings.Lines(r.socket("show map")) {
		_, file, ok := strings.Cut(line, "(")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		file, _, _ = strings.Cut(file, ")")
		for entry := range strings.Lines(r.socket("show map " + file)) {
			if f := strings.Fields(entry); len(f) == 3 {
				lines[file+" "+r.controller.AtRest(f[1])] = r.controller.AtRest(f[2])
			}
		}
	}
	return lines
}

// written are the same lines in the files.
func (r *rig) written() map[string]string {
	r.Helper()
	lines := map[string]string{}
	entries, err := os.ReadDir(r.options.CfgDir + "/maps")
	if err != nil {
		r.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(r.options.CfgDir + "/maps/" + e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // files are written behind, and removed
		}
		if err != nil {
			r.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) == 2 {
				lines["maps/"+e.Name()+" "+f[0]] = f[1]
			}
		}
	}
	return lines
}

// agrees waits until HAProxy holds what stands in the files, and nothing else.
func (r *rig) agrees() {
	r.Helper()
	deadline := time.Now().Add(patience)
	for diff := r.difference(); diff != ""; diff = r.difference() {
		if time.Now().After(deadline) {
			r.Fatalf("haproxy holds something else than the files say (-files +haproxy):\n%s", diff)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestPlainServicesNeedNoLoad(t *testing.T) {
	r := newRig(t, agreeing)
	a, b := echo(t, "a"), echo(t, "b")
	r.reconfigure("serviceName=first&servicePath=/first&outboundHostname=127.0.0.1&port=" + a)
	loads := r.controller.Report().Generation
	t.Run("a service is added", func(t *testing.T) {
		r.reconfigure("serviceName=x&servicePath=/x,/y&outboundHostname=127.0.0.1&port=" + a)
		r.goes(call{path: "/x/1"}, "a")
		r.reconfigure("serviceName=h&serviceDomain=h.test&outboundHostname=127.0.0.1&port=" + b)
		r.goes(call{host: "h.test", path: "/x/1"}, "a")
		r.goes(call{host: "h.test", path: "/z"}, "b")
	})
	t.Run("its path and its port change", func(t *testing.T) {
		r.reconfigure("serviceName=x&servicePath=/x2&outboundHostname=127.0.0.1&port=" + b)
		r.goes(call{path: "/x2"}, "b")
		r.goes(call{path: "/y"}, "")
	})
	t.Run("it is removed", func(t *testing.T) {
		r.live(r.source.remove("x"))
		r.goes(call{path: "/x2"}, "")
		r.live(r.source.remove("first"))
		r.goes(call{path: "/first"}, "")
		r.reconfigure("serviceName=first&servicePath=/again&outboundHostname=127.0.0.1&port=" + a)
		r.goes(call{path: "/again"}, "a")
	})
	r.agrees()
	if now := r.controller.Report().Generation; now != loads {
		t.Errorf("%d loads were made for plain services", now-loads)
	}
	text, err := r.controller.Config(t.Context())
	if err != nil || !strings.Contains(string(text), "\nbackend h-be"+b+"_0\n") {
		t.Errorf("haproxy.cfg does not name the backend: %v\n%s", err, text)
	}
	if err := exec.CommandContext(t.Context(), "haproxy", "-c", "-f", proxy.ConfigPath(&r.options)).Run(); err != nil {
		t.Errorf("haproxy does not take the files: %v", err)
	}
}

func TestAddressesChangeWithoutALoad(t *testing.T) {
	ports := []string{echo(t, "one")}
	table := map[string]string{"some.host": "127.0.0.9"}
	var mu sync.Mutex
	r := newRig(t, agreeing, func(_ *rig, cfg *proxy.Config) {
		cfg.Lookup, cfg.Resolve = lookupLocked(&mu, table), 20*time.Millisecond
	})
	for _, query := range []string{"serviceName=n&servicePath=/n", "serviceName=late&servicePath=/late", "serviceName=auth&servicePath=/auth&users=u:p"} {
		r.reconfigure(query + "&outboundHostname=some.host&port=" + ports[0])
	}
	r.await("its own backend for the one with users", func() bool { return strings.Contains(r.socket("show backend"), "auth-be") })
	loads := r.controller.Report().Generation
	for _, addrs := range []string{"127.0.0.2", "127.0.0.2 127.0.0.3", "127.0.0.3 127.0.0.4 127.0.0.5", "127.0.0.1"} {
		mu.Lock()
		table["some.host"] = addrs
		mu.Unlock()
		want := strings.Fields(addrs)
		r.await("the servers of "+addrs, func() bool {
			state := r.socket("show servers state")
			return slices.Equal(want, addressesOf(state, "n")) && slices.Equal(want, addressesOf(state, "late")) && slices.Equal(want, addressesOf(state, "auth"))
		})
	}
	r.goes(call{path: "/n"}, "one")
	r.goes(call{path: "/late"}, "one")
	if now := r.controller.Report().Generation; now != loads {
		t.Errorf("%d loads were made for addresses", now-loads)
	}
}

// addressesOf are the sorted addresses of a service's servers that take requests.
func addressesOf(state, service string) []string {
	var list []string
	for line := range strings.Lines(state) {
		if f := strings.Fields(line); len(f) > 6 && (f[3] == service || strings.HasPrefix(f[3], service+"_")) && f[6] == "0" {
			list = append(list, f[4])
		}
	}
	slices.Sort(list)
	return list
}

// Whatever changes in whatever order, HAProxy holds what a load of the files would give.
func TestRandomChangesAgreeWithTheFiles(t *testing.T) {
	random := seeded(t)
	r := newRig(t, raw, agreeing)
	ports := []string{echo(t, "a"), echo(t, "b")}
	for round := range 12 {
		var last uint64
		for range 1 + random.IntN(12) {
			if random.IntN(4) == 0 {
				last = r.randomOverlay(random, ports)
				continue
			}
			name := fmt.Sprintf("s%d", random.IntN(8))
			if random.IntN(4) == 0 {
				last = r.source.remove(name)
				continue
			}
			last = r.publish("serviceName=" + name + "&outboundHostname=127.0.0.1&port=" + ports[random.IntN(2)] + randomQuery(random))
		}
		r.live(last)
		r.agrees()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

func randomQuery(random *rand.Rand) string {
	paths := []string{"/", "/a", "/a/b", "/b", "/.well-known/x", "/c"}
	query := "&servicePath=" + paths[random.IntN(len(paths))]
	options := []string{
		"&serviceDomain=a.test", "&serviceDomain=*.a.test,*.b.a.test", "&pathType=path", "&pathType=path_end",
		"&users=u:p", "&aclName=00-first", "&aclName=s3", "&httpsOnly=true", "&servicePath=/a,/c/d", "&isDefaultBackend=true", "&srcPort=81",
	}
	for range random.IntN(3) {
		if random.IntN(2) == 0 {
			query += options[random.IntN(len(options))]
		}
	}
	return query
}

func TestWhatSomebodyElseChangesIsRepaired(t *testing.T) {
	r := newRig(t)
	port := echo(t, "a")
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + port)
	r.reconfigure("serviceName=y&servicePath=/y&outboundHostname=127.0.0.1&port=" + port)
	loads := r.controller.Report().Generation
	pool := strings.Fields(lineWith(r.socket("show servers state"), " y "))[1]
	r.socket("clear map maps/routes-any.map", "set server "+pool+"/y state maint", "del server "+pool+"/y")
	r.goes(call{path: "/x"}, "")
	// The next command about that server is refused, and shows that something is wrong.
	r.live(r.source.remove("y"))
	r.reconfigure("serviceName=z&servicePath=/z&outboundHostname=127.0.0.1&port=" + port)
	r.goes(call{path: "/x"}, "a")
	r.goes(call{path: "/z"}, "a")
	r.agrees()
	if now := r.controller.Report().Generation; now != loads {
		t.Errorf("repaired by %d loads", now-loads)
	}
}

func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

// More services than the pool has backends for make a load, and all are served.
func TestThePoolIsRefilled(t *testing.T) {
	r := newRig(t)
	port := echo(t, "a")
	var last uint64
	const services = 700
	for i := range services {
		last = r.publish(fmt.Sprintf("serviceName=s%d&servicePath=/s%d/&outboundHostname=127.0.0.1&port=%s", i, i, port))
	}
	r.live(last)
	for i := range services {
		r.goes(call{path: fmt.Sprintf("/s%d/", i)}, "a")
	}
	for i := range services {
		last = r.source.remove(fmt.Sprintf("s%d", i))
	}
	r.live(last)
	r.agrees()
	if diff := cmp.Diff(map[string]string{}, r.held()); diff != "" {
		t.Errorf("lines left (-want +got):\n%s", diff)
	}
}

// A request that is under way when its service goes is answered all the same, and the
// server is deleted afterwards.
func TestRequestsUnderWayAreFinished(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.Header().Set("X-Backend", "slow")
	}))
	t.Cleanup(backend.Close)
	slow := backend.URL[strings.LastIndexByte(backend.URL, ':')+1:]
	r := newRig(t)
	r.reconfigure("serviceName=other&servicePath=/other&outboundHostname=127.0.0.1&port=" + slow)
	r.reconfigure("serviceName=slow&servicePath=/slow&outboundHostname=127.0.0.1&port=" + slow)
	status := make(chan int, 1)
	go func() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/slow", r.http), nil)
		if err != nil {
			status <- 0
			return
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- 0
			return
		}
		status <- res.StatusCode
		_ = res.Body.Close()
	}()
	<-arrived
	r.live(r.source.remove("slow"))
	r.goes(call{path: "/slow"}, "")
	close(release)
	if got := <-status; got != http.StatusOK {
		t.Errorf("the request under way ended with %d", got)
	}
	r.await("the server to be deleted", func() bool { return lineWith(r.socket("show servers state"), " slow ") == "" })
}

// told shows the controller's log if the test fails.
func told(r *rig, cfg *proxy.Config) {
	cfg.Logger = zerolog.New(zerolog.NewTestWriter(r.TB)).With().Timestamp().Logger()
}

// A service that has to wait for a load keeps nobody else waiting, and serves on as it was.
func TestWhoWaitsForALoadKeepsNobodyWaiting(t *testing.T) {
	r := newRig(t, func(_ *rig, cfg *proxy.Config) { cfg.Interval = time.Minute })
	port := "&outboundHostname=127.0.0.1&port=" + echo(t, "a")
	r.reconfigure("serviceName=slow&servicePath=/slow" + port)
	if r.controller.Report().Generation > 1 {
		t.Fatal("a plain service was loaded")
	}
	r.publish("serviceName=slow&servicePath=/other&addReqHeader=X-A%20b" + port)
	quick := r.publish("serviceName=quick&servicePath=/quick" + port)
	r.await("the quick one to be reached", func() bool {
		report := r.controller.Report()
		return report.Reached >= quick && slices.Equal(report.Behind, []string{"slow"})
	})
	r.goes(call{path: "/quick"}, "a")
	r.goes(call{path: "/slow"}, "a")
	r.goes(call{path: "/other"}, "")
	if report := r.controller.Report(); report.Seq >= quick {
		t.Errorf("told to be live although one waits: %+v", report)
	}
}
