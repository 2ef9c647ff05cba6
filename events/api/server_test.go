package api_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

// run starts a whole server and returns its URL and what stops it.
func run(t testing.TB, cfg api.Config) (base string, stop func() error) {
	t.Helper()
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return "http://" + s.Addr().String(), stop
}

func TestIncompleteConfiguration(t *testing.T) {
	_, err := api.NewServer(api.Config{Addr: "8080"})
	for _, want := range []string{"Replica is required", "History is required", "--api-addr"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestBusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config(apitest.New())
	cfg.Addr = l.Addr().String()
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Listen(t.Context())
	if err == nil || !strings.Contains(err.Error(), "--api-addr") || !strings.Contains(err.Error(), "PORT") {
		t.Errorf("error %v", err)
	}
}

func TestCloseWithoutRun(t *testing.T) {
	s, err := api.NewServer(config(apitest.New()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	b := apitest.New()
	cfg := config(b)
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, health, ready int) {
		t.Helper()
		for path, want := range map[string]int{"/healthz": health, "/readyz": ready, dfp + "successfulinitreload": ready, dfp + "ping": 200} {
			if got := send(s.Handler(), remote, "GET "+path, nil); got.Code != want {
				t.Errorf("%s: %s: %d, want %d", when, path, got.Code, want)
			}
		}
	}
	b.SetReady(false)
	check("before the state is restored", 503, 503)
	for want, status := range map[string]events.Status{
		"served yet\"": {}, "served yet: no log\"": {Stale: "no log"}, "served yet: disk full\"": {Problem: "disk full"},
		"served yet: no log; disk full\"": {Stale: "no log", Problem: "disk full"},
	} {
		b.SetStatus(status)
		if got := send(s.Handler(), remote, "GET /readyz", nil).Body.String(); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	b.SetReady(true)
	check("restored", 200, 200)
	b.SetDead(true)
	check("HAProxy dead", 503, 503)
	b.SetDead(false)
	s.Drain()
	check("draining", 200, 503)
}

func TestHugeQueriesAreAnswered(t *testing.T) {
	base, _ := run(t, config(apitest.New()))
	for _, size := range []int{300 << 10, 1 << 20} {
		got := get(t, base+dfp+"reconfigure?"+goodQ+"&userDef="+strings.Repeat("x", size))
		if got.status != http.StatusRequestURITooLong {
			t.Errorf("%d bytes: %d", size, got.status)
		}
	}
	if got := get(t, base+dfp+"ping", "X-Big: "+strings.Repeat("x", 2<<20)); got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("huge header: %d", got.status)
	}
}

// TestHostileValues: in every parameter, a value either is refused with the parameter's
// name, or is stored as it came; it never becomes another service.
func TestHostileValues(t *testing.T) {
	values := []string{"a\nb", "a\r\nb", "a\x00b", "'\"`", "{{.}}", "%[env(HOME)]", "../../etc/passwd", "a b", "é\u202e", "\xff\xfe", "-1", strings.Repeat("x", 100<<10), " ", ";", "$(id)", "\\"}
	b := apitest.New()
	base := serve(t, b, func(c *api.Config) { c.Key = clusterKey(t) })
	get(t, base+dfp+"reconfigure?serviceName=bystander&servicePath=/bystander&port=80")
	before, _ := b.Entry("service/bystander")
	for _, p := range service.Parameters() {
		for _, v := range values {
			q := map[string]string{"serviceName": "target", "servicePath": "/t", "port": "8080", "serviceDomain": "a.test", p.Name: v}
			got := get(t, base+dfp+"reconfigure?"+encodeQuery(q))
			if got.status != http.StatusOK && got.status != http.StatusBadRequest && got.status != http.StatusConflict {
				t.Errorf("%s=%.20q: %d %.200s", p.Name, v, got.status, got.body)
			}
			if got.status != http.StatusOK && got.json(t)["Message"] == "" {
				t.Errorf("%s=%.20q: refused without a reason", p.Name, v)
			}
		}
	}
	for _, e := range b.Entries("") {
		// "-1" is a name like any other.
		if e.Key != "service/bystander" && e.Key != "service/target" && e.Key != "service/-1" {
			t.Errorf("a hostile value made %q", e.Key)
		}
	}
	if after, _ := b.Entry("service/bystander"); after.Compare(before) != 0 {
		t.Errorf("another service was changed: %s", after.Value)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	base := serve(t, apitest.New(), func(c *api.Config) { c.Metrics, c.Register = reg, reg })
	get(t, base+"/v1/services/anything-goes-here")
	got := get(t, base+"/metrics")
	if got.status != http.StatusOK || !strings.Contains(got.body, `sluice_api_requests_total{route="/v1/services/{name}",status="404"} 1`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, err := api.NewServer(func() api.Config { c := config(apitest.New()); c.Register = reg; return c }()); err == nil {
		t.Error("two servers share one registry")
	}
}

func TestAPanicIsAnsweredWithoutItsTrace(t *testing.T) {
	base := serve(t, apitest.New(), func(c *api.Config) {
		c.Lookup = func(context.Context, string) error { panic("secret inside") }
	})
	got := get(t, base+dfp+"reconfigure?"+goodQ)
	if got.status != http.StatusInternalServerError || strings.Contains(got.body, "secret") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestRequestsAreNotCutByStopping(t *testing.T) {
	b := apitest.New()
	entered, release := make(chan struct{}), make(chan struct{})
	cfg := config(b)
	cfg.Lookup = func(context.Context, string) error { close(entered); <-release; return nil }
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	answered := make(chan int, 1)
	go func() {
		res, err := http.Get("http://" + s.Addr().String() + dfp + "reconfigure?" + goodQ)
		if err != nil {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	within(t, entered)
	cancel()
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	if status := within(t, answered); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if err := within(t, stopped); err != nil {
		t.Errorf("stop: %v", err)
	}
}
