package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dockerswarm "github.com/moby/moby/api/types/swarm"
	"github.com/rs/zerolog"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
	"sluice/events/swarm"
	"sluice/events/swarm/dockertest"
)

// watched is a Docker, a replica's API over a state in memory, and watchers between them.
type watched struct {
	plain   bool
	docker  *dockertest.Daemon
	backend *apitest.Backend
	server  *api.Server
	// url is that of the API for people.
	url string
}

func startWatched(t *testing.T, plain bool) *watched {
	t.Helper()
	w := &watched{plain: plain, docker: dockertest.Start(t, plain), backend: apitest.New()}
	b := w.backend
	var err error
	w.server, err = api.NewServer(api.Config{Addr: "127.0.0.1:0", Replica: b, Waiter: b, Replicas: b, Proxy: b, History: b,
		Defaults: service.Defaults{Separator: ","}, Instance: "docker-flow", Insecure: true, Log: zerolog.Nop()})
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

func eventually(t *testing.T, problem func() string) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
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

func TestWatcherFollowsLabels(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.watcher(t)
	w.docker.Service("web", labels("/web"), 1)
	w.looks(t, 3)
	w.want(t, "") // no task runs
	w.docker.Task("web", "10.0.0.5", dockerswarm.TaskStateRunning, dockerswarm.TaskStateRunning)
	w.want(t, "web /web")
	w.docker.Service("web", labels("/web,/more", "com.df.port", "8081"), 2)
	w.want(t, "web /web,/more")
	w.docker.Service("web", labels("/web"), 0)
	w.want(t, "")
	w.docker.Service("web", labels("/web"), 1)
	w.want(t, "web /web")
	w.docker.Service("web", labels("/web", "com.df.notify", "FALSE"), 1)
	w.want(t, "")
	w.docker.Service("web", labels("/web", "com.df.notify", "TRUE"), 1)
	w.want(t, "web /web")
	w.docker.Service("other", nil, 1)
	w.docker.Remove("web")
	w.want(t, "")
	for _, r := range w.records(t) {
		if r.Origin != api.OriginSwarm || r.Actor != "watcher" {
			t.Errorf("event %d is by %s through %s", r.Seq, r.Actor, r.Origin)
		}
	}
}

func TestAVersionOfDockerIsNoEvent(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.watcher(t)
	w.docker.Run("web", "10.0.0.5", labels("/web"))
	w.want(t, "web /web")
	for range 3 {
		w.docker.Service("web", labels("/web", "unrelated", fmt.Sprint(time.Now().UnixNano())), 1)
		w.looks(t, 2)
	}
	if n := len(w.records(t)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	var doc service.Service
	if err := json.Unmarshal(w.records(t)[0].Data, &doc); err != nil || doc.Source == nil || doc.Source.Version == 0 || doc.Source.ID != "id-web" {
		t.Errorf("source %+v, %v", doc.Source, err)
	}
}

// TestPeopleAndLabelsDoNotTakeTurns: what somebody changes or removes stays until the labels
// change; then they win once.
func TestPeopleAndLabelsDoNotTakeTurns(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			t.Parallel()
			w := startWatched(t, false)
			stop := w.watcher(t)
			again := func() {
				if restart {
					stop()
					stop = w.watcher(t)
				}
				w.docker.Service("web", labels("/web", "unrelated", fmt.Sprint(time.Now().UnixNano())), 1)
				w.looks(t, 4)
			}
			w.docker.Run("web", "10.0.0.5", labels("/web"))
			w.want(t, "web /web")
			w.send(t, "reconfigure?serviceName=web&servicePath=/person&port=1")
			again()
			w.want(t, "web /person")
			w.docker.Service("web", labels("/label"), 1)
			w.want(t, "web /label")
			w.docker.Service("web", labels("/web"), 1)
			w.want(t, "web /web")
			w.send(t, "remove?serviceName=web")
			again()
			w.want(t, "")
			w.docker.Service("web", labels("/label"), 1)
			w.want(t, "web /label")
			if n := len(w.records(t)); n != 6 {
				t.Errorf("%d events, want 6", n)
			}
		})
	}
}

func TestAWatcherRemovesOnlyWhatAWatcherMade(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.send(t, "reconfigure?serviceName=person&servicePath=/person&port=1")
	w.docker.Run("web", "10.0.0.5", labels("/web"))
	w.docker.Run("taken", "10.0.0.6", labels("/taken"))
	stop := w.watcher(t)
	w.want(t, "person /person; taken /taken; web /web")
	w.send(t, "reconfigure?serviceName=taken&servicePath=/person2&port=1")
	stop()
	w.docker.Remove("web") // while nobody watches
	w.docker.Remove("taken")
	w.docker.Service("other", nil, 1)
	w.watcher(t)
	w.want(t, "person /person; taken /person2")
}

// TestAFailingDockerRemovesNothing: errors, and lists that are empty although they must not be.
func TestAFailingDockerRemovesNothing(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.docker.Run("web", "10.0.0.5", labels("/web"))
	w.watcher(t)
	w.want(t, "web /web")
	for _, path := range []string{"/services", "/info", "/tasks", "/services/id-web"} {
		w.docker.Fault(func(p string) int {
			if p == path {
				return http.StatusInternalServerError
			}
			return 0
		})
		from := w.docker.Asked("/info")
		eventually(t, func() string {
			if w.docker.Asked("/info") < from+2 {
				return "it does not look"
			}
			return ""
		})
		w.docker.Fault(nil)
		w.looks(t, 2)
	}
	w.docker.Empty(true)
	w.looks(t, 12) // longer than an empty answer needs to be believed
	w.want(t, "web /web")
	w.docker.Fault(func(p string) int {
		if strings.HasPrefix(p, "/services/") {
			return http.StatusBadGateway
		}
		return 0
	})
	w.looks(t, 2)
	w.want(t, "web /web")
	w.docker.Fault(nil)
	w.docker.Remove("web")
	w.want(t, "")
}

// TestLostEventsLoseNothing: the comparison of everything finds what no event told.
func TestLostEventsLoseNothing(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.watcher(t)
	w.docker.Run("one", "10.0.0.5", labels("/one"))
	w.want(t, "one /one")
	w.docker.Silent(true)
	w.docker.Run("two", "10.0.0.6", labels("/two"))
	w.docker.Remove("one")
	w.want(t, "two /two")
	w.docker.Break()
	w.docker.Silent(false)
	w.docker.Run("three", "10.0.0.7", labels("/three"))
	w.want(t, "three /three; two /two")
}

func TestSeveralWatchersWriteOnce(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	for range 3 {
		w.watcher(t)
	}
	for i := range 5 {
		w.docker.Run(fmt.Sprint("web", i), fmt.Sprint("10.0.0.", i+1), labels(fmt.Sprint("/", i)))
	}
	w.want(t, "web0 /0; web1 /1; web2 /2; web3 /3; web4 /4")
	w.docker.Remove("web3")
	w.want(t, "web0 /0; web1 /1; web2 /2; web4 /4")
	w.looks(t, 9)
	if n := len(w.records(t)); n != 6 {
		t.Errorf("%d events, want 6", n)
	}
}

// TestInvalidParameterOfALabel: each parameter; nothing changes, and others go on.
func TestInvalidParameterOfALabel(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	bad := map[string]string{}
	for _, p := range service.Parameters() {
		value := "/a,/b\nbackend evil"
		switch p.Type {
		case service.Headers:
			value = "X-A b\nbackend evil"
		case service.Matches:
			value = "X-A:b\nbackend evil"
		case service.Secret:
			value = "\x00"
		}
		more := []string{"com.df.serviceDomain", "acme.com"}
		if strings.HasPrefix(p.Name, "reqPath") {
			more = append(more, "com.df.reqPathSearch", "/a", "com.df.reqPathReplace", "/b")
		}
		name := strings.ToLower(p.Name)
		w.docker.Run(name, "10.0.0.5", labels("/"+name, more...))
		bad[p.Name] = value
	}
	for _, l := range []string{"notify", "shortName", "scrapeNetwork"} {
		w.docker.Run(strings.ToLower(l), "10.0.0.5", labels("/"+strings.ToLower(l)))
		bad[l] = "a\nb"
	}
	log := &lines{}
	w.watcherLogs(t, log)
	eventually(t, func() string {
		if n := len(w.backend.Entries(service.Key(""))); n != len(bad) {
			return fmt.Sprintf("%d of %d services", n, len(bad))
		}
		return ""
	})
	w.looks(t, 3)
	before, routes := len(w.records(t)), w.routes(t)
	for param, value := range bad {
		more := []string{"com.df.serviceDomain", "acme.com"}
		if strings.HasPrefix(param, "reqPath") {
			more = append(more, "com.df.reqPathSearch", "/a", "com.df.reqPathReplace", "/b")
		}
		w.docker.Service(strings.ToLower(param), labels("/changed", append(more, "com.df."+param, value)...), 1)
	}
	w.looks(t, 3)
	w.docker.Run("last", "10.0.0.6", labels("/last"))
	eventually(t, func() string {
		if !strings.Contains(w.routes(t), "last /last") {
			return "others do not go on"
		}
		return ""
	})
	w.looks(t, 3)
	for _, r := range w.records(t)[before:] {
		if r.Key != service.Key("last") {
			t.Errorf("%s of %s: %s", r.Action, r.Key, r.Data)
		}
	}
	told := log.refusals(t)
	for param := range bad {
		name, reasons := param, told[strings.ToLower(param)]
		if strings.HasPrefix(param, "reqPath") {
			name = "reqPathSearchReplace"
		}
		if len(reasons) != 1 || !strings.Contains(reasons[0], name) || !strings.Contains(reasons[0], "; ") {
			t.Errorf("%s is told as %q, want one refusal with problem and remedy", param, reasons)
		}
	}
	if got := w.routes(t); strings.Replace(got, "last /last; ", "", 1) != routes {
		t.Errorf("routes are %s, were %s", got, routes)
	}
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

// refusals are the reasons for which labels were refused, by service.
func (l *lines) refusals(t *testing.T) map[string][]string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string][]string{}
	for line := range bytes.Lines(l.text) {
		var entry struct{ Level, Error, Service string }
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Level == "warn" {
			all[entry.Service] = append(all[entry.Service], entry.Error)
		}
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

func TestTasksOfAStickyService(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.watcher(t)
	const runs, stop = dockerswarm.TaskStateRunning, dockerswarm.TaskStateShutdown
	w.docker.Task("web", "10.0.0.7", runs, runs)
	w.docker.Task("web", "10.0.0.5", runs, runs)
	w.docker.Service("web", labels("/web", "com.df.sessionType", "sticky-server"), 2)
	w.wantTasks(t, "web", []string{"10.0.0.5", "10.0.0.7"}, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/v1/services/web/overlay", strings.NewReader(`{"servers":{"10.0.0.7":{"weight":3}},"tasks":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	w.wantTasks(t, "web", []string{"10.0.0.5", "10.0.0.7"}, nil) // not a person's to change
	w.docker.Task("web", "10.0.0.5", stop, runs)
	w.docker.Service("web", labels("/web", "com.df.sessionType", "sticky-server"), 1)
	w.wantTasks(t, "web", []string{"10.0.0.7"}, []string{"10.0.0.5"})
	e, _ := w.backend.Entry(service.OverlayKey("web"))
	if !strings.Contains(string(e.Value), `"10.0.0.7":{"weight":3}`) {
		t.Errorf("what a person set is gone: %s", e.Value)
	}
	w.docker.Task("web", "10.0.0.5", stop, stop)
	w.looks(t, 2)
	w.wantTasks(t, "web", []string{"10.0.0.7"}, []string{"10.0.0.5"}) // look-ups may still find it
	w.docker.Task("web", "10.0.0.5", runs, runs)                      // another task got the address
	w.wantTasks(t, "web", []string{"10.0.0.5", "10.0.0.7"}, nil)
}

func TestContainersOfAPlainHost(t *testing.T) {
	t.Parallel()
	w := startWatched(t, true)
	w.watcher(t)
	compose := []string{"com.docker.compose.project", "shop", "com.docker.compose.service", "web"}
	w.docker.Container("alone", "172.18.0.2", "Up 2 seconds (health: starting)", labels("/alone"))
	w.looks(t, 3)
	w.want(t, "")
	w.docker.Container("alone", "172.18.0.2", "Up 9 seconds (healthy)", labels("/alone"))
	w.docker.Container("shop-web-1", "172.18.0.3", "Up 1 second", labels("/web", compose...))
	w.docker.Container("shop-web-2", "172.18.0.4", "Up 1 second", labels("/web", compose...))
	w.want(t, "alone /alone; shop_web /web")
	w.wantTasks(t, "shop_web", []string{"172.18.0.3", "172.18.0.4"}, nil)
	w.docker.Container("shop-web-2", "", "Exited (0) 1 second ago", labels("/web", compose...))
	w.wantTasks(t, "shop_web", []string{"172.18.0.3"}, nil)
	short := append(compose, "com.df.shortName", "true")
	w.docker.Container("shop-web-1", "172.18.0.3", "Up 1 second", labels("/web", short...))
	w.docker.Container("shop-web-2", "172.18.0.4", "Up 1 second", labels("/web", short...))
	w.want(t, "alone /alone; web /web")
	w.docker.RemoveContainer("alone")
	w.want(t, "web /web")
}
