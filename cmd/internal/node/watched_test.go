package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/crdt/seal"
	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
	"sluice/events/swarm"
	"sluice/events/swarm/dockertest"
)

// watched is a Docker, a replica's API over a state in memory, and watchers between them.
type watched struct {
	plain bool
	// networks are those that watchers are in.
	networks []netip.Prefix
	docker   *dockertest.Daemon
	backend  *apitest.Backend
	server   *api.Server
	// url is that of the API for people.
	url string
}

func startWatched(t *testing.T, plain bool) *watched {
	t.Helper()
	w := &watched{plain: plain, docker: dockertest.Start(t, plain), backend: apitest.New()}
	b := w.backend
	key, err := seal.Parse("a cluster key of more than 32 characters")
	if err != nil {
		t.Fatal(err)
	}
	w.server, err = api.NewServer(api.Config{Addr: "127.0.0.1:0", Replica: b, Waiter: b, Replicas: b, Proxy: b, History: b,
		Defaults: service.Defaults{Separator: ","}, Instance: "docker-flow", Key: key, Insecure: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	people := httptest.NewServer(w.server.Handler())
	t.Cleanup(people.Close)
	w.url = people.URL
	return w
}

// watcher runs one until the test ends or stop is called.
func (w *watched) watcher(t *testing.T) (stop func()) {
	t.Helper()
	return w.watcherLogs(t, zerolog.NewTestWriter(t))
}

// watcherLogs is watcher with a log to look at.
func (w *watched) watcherLogs(t *testing.T, log io.Writer) (stop func()) {
	t.Helper()
	c, err := api.NewClient(api.ClientConfig{Base: "http://inside", Origin: api.OriginSwarm, HTTP: w.server.Inside()})
	if err != nil {
		t.Fatal(err)
	}
	cfg := swarm.DefaultConfig()
	cfg.Host, cfg.Interval, cfg.Logger = w.docker.Host, time.Second, zerolog.New(log)
	cfg.Networks = func() ([]netip.Prefix, error) { return w.networks, nil }
	cfg.API = WatchAPI{Clients: func(context.Context) ([]*api.Client, error) { return []*api.Client{c}, nil }}
	watcher, err := swarm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- watcher.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the watcher ended: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// routes are the live services as "name path …", sorted.
func (w *watched) routes(t *testing.T) string {
	t.Helper()
	var all []string
	for _, e := range w.backend.Entries(service.Key("")) {
		if !e.Live() {
			continue
		}
		s, err := service.Decode(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s.Name+" "+strings.Join(s.Destinations[0].ServicePath, ","))
	}
	return strings.Join(all, "; ")
}

func (w *watched) records(t *testing.T) []events.Record {
	t.Helper()
	var all []events.Record
	if err := w.backend.Records(t.Context(), events.Query{}, func(r events.Record) error { all = append(all, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func (w *watched) want(t *testing.T, routes string) {
	t.Helper()
	eventually(t, func() string {
		if got := w.routes(t); got != routes {
			return fmt.Sprintf("routes are %q, want %q", got, routes)
		}
		return ""
	})
}

// looks waits until Docker was listed n more times, so that nothing is under way.
func (w *watched) looks(t *testing.T, n int) {
	t.Helper()
	path := "/services"
	if w.plain {
		path = "/containers/json"
	}
	from := w.docker.Asked(path)
	eventually(t, func() string {
		if got := w.docker.Asked(path) - from; got < n {
			return fmt.Sprintf("%d looks", got)
		}
		return ""
	})
}

// patience bounds every wait of the tests.
const patience = time.Minute

func eventually(t *testing.T, problem func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		found := problem()
		if found == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(found)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// send is a change that a person makes.
func (w *watched) send(t *testing.T, query string) {
	t.Helper()
	res, err := http.Get(w.url + "/v1/docker-flow-proxy/" + query)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
}

func labels(path string, more ...string) map[string]string {
	l := map[string]string{"com.df.notify": "true", "com.df.servicePath": path, "com.df.port": "8080"}
	for i := 0; i < len(more); i += 2 {
		l[more[i]] = more[i+1]
	}
	return l
}

// lines are those of a log.
type lines struct {
	mu   sync.Mutex
	text []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

// warning is a line of the log that warns about a service.
type warning struct {
	Level, Error, Service string
	Labels                []string
}

func (l *lines) warnings(t *testing.T) (all []warning) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.text) {
		var w warning
		if err := json.Unmarshal(line, &w); err != nil {
			t.Fatal(err)
		}
		if w.Level == "warn" {
			all = append(all, w)
		}
	}
	return all
}

// refusals are the reasons for which labels were refused, by service.
func (l *lines) refusals(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, w := range l.warnings(t) {
		all[w.Service] = append(all[w.Service], w.Error)
	}
	return all
}

// tasks are what the state knows of a service's tasks.
func (w *watched) tasks(t *testing.T, name string) service.Tasks {
	t.Helper()
	e, _ := w.backend.Entry(service.OverlayKey(name))
	if !e.Live() {
		return service.Tasks{}
	}
	o, err := service.DecodeOverlay(e.Value)
	if err != nil {
		t.Fatal(err)
	}
	return o.Tasks
}

func (w *watched) wantTasks(t *testing.T, name string, running, leaving []string) {
	t.Helper()
	eventually(t, func() string {
		if got := w.tasks(t, name); !slices.Equal(got.Running, running) || !slices.Equal(got.Leaving, leaving) {
			return fmt.Sprintf("tasks are %+v, want %v and %v", got, running, leaving)
		}
		return ""
	})
}
