package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	dockerswarm "github.com/moby/moby/api/types/swarm"

	"sluice/crdt/service"
	"sluice/events/api"
)

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

// TestAManagerThatStopsIsNoPlainHost: Docker says that it is in no Swarm while it stops.
func TestAManagerThatStopsIsNoPlainHost(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.docker.Container("old", "172.18.0.2", "Up 1 second", labels("/old"))
	w.docker.Run("web", "10.0.0.5", labels("/web"))
	w.watcher(t)
	w.want(t, "web /web")
	w.docker.Leave(true)
	from := w.docker.Asked("/info")
	eventually(t, func() string {
		if w.docker.Asked("/info") < from+3 {
			return "it does not look"
		}
		return ""
	})
	w.want(t, "web /web")
	w.docker.Leave(false)
	w.docker.Remove("web")
	w.docker.Run("new", "10.0.0.6", labels("/new"))
	w.want(t, "new /new")
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

// TestComposeProjectsWithOneServiceName: in a network that they share Docker answers "web" with
// the containers of both, so no route may go by that name.
func TestComposeProjectsWithOneServiceName(t *testing.T) {
	t.Parallel()
	w := startWatched(t, true)
	w.networks = []netip.Prefix{netip.MustParsePrefix("172.20.0.9/16")}
	w.watcher(t)
	for i, project := range []string{"blog", "shop"} {
		name := project + "-web-1"
		w.docker.Container(name, fmt.Sprint("172.18.0.", i+2), "Up 1 second", labels("/"+project, "com.docker.compose.project", project, "com.docker.compose.service", "web"))
		w.docker.Connect(name, project+"_default", fmt.Sprintf("172.3%d.0.2", i))
		w.docker.Connect(name, "proxy", fmt.Sprint("172.20.0.", i+2)) // where Sluice is
	}
	w.want(t, "blog_web /blog; shop_web /shop")
	w.wantTasks(t, "blog_web", []string{"172.20.0.2"}, nil)
	w.wantTasks(t, "shop_web", []string{"172.20.0.3"}, nil)
	for _, e := range w.backend.Entries(service.Key("")) {
		s, err := service.Decode(e.Value)
		if err != nil || s.Destinations[0].OutboundHostname != "" || s.Source.Kind != service.DockerSource {
			t.Errorf("%s, %v", e.Value, err)
		}
	}
	w.docker.Container("shop-web-1", "", "Exited (0) 1 second ago", labels("/shop", "com.docker.compose.project", "shop", "com.docker.compose.service", "web"))
	w.wantTasks(t, "shop_web", nil, nil)
	w.docker.Container("shop-web-1", "172.20.0.8", "Up 1 second", labels("/shop", "com.docker.compose.project", "shop", "com.docker.compose.service", "web"))
	w.wantTasks(t, "shop_web", []string{"172.20.0.8"}, nil)
	w.wantTasks(t, "blog_web", []string{"172.20.0.2"}, nil)
}

// TestShortNamesAreReachedByTheWholeOne: of two stacks with a "web" the short name reaches both.
func TestShortNamesAreReachedByTheWholeOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more []string
		want []string // host of each destination
	}{
		"short":             {nil, []string{"shop_web"}},
		"balances by DNS":   {[]string{"com.df.DiscoveryType", "dns"}, []string{"tasks.shop_web"}},
		"a host":            {[]string{"com.df.outboundHostname", "mine"}, []string{"mine"}},
		"the short name":    {[]string{"com.df.outboundHostname", "web"}, []string{""}},
		"a host of the one": {[]string{"com.df.port.1", "1", "com.df.port.2", "2", "com.df.outboundHostname.1", "mine"}, []string{"mine", "shop_web"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWatched(t, false)
			w.watcher(t)
			w.docker.Run("shop_web", "10.0.0.5", labels("/web", append(c.more, "com.docker.stack.namespace", "shop", "com.df.shortName", "true")...))
			w.want(t, "web /web")
			s, err := service.Decode(w.backend.Entries(service.Key("web"))[0].Value)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range s.Destinations {
				got = append(got, s.Destinations[i].OutboundHostname)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("hosts %q, want %q", got, c.want)
			}
		})
	}
}

// TestTasksUnderAnySpelling: the API takes sessionType in any, so a sticky service of any has tasks.
func TestTasksUnderAnySpelling(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.watcher(t)
	w.docker.Run("web", "10.0.0.5", labels("/web", "com.df.sessiontype", "sticky-server"))
	w.wantTasks(t, "web", []string{"10.0.0.5"}, nil)
}

// TestSecretsInLabels: a change is noticed, a repetition makes no event, and the log has
// nothing to try passwords against.
func TestSecretsInLabels(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	stop := w.watcher(t)
	sources := func() (all []string) {
		for _, r := range w.records(t) {
			var doc service.Service
			if err := json.Unmarshal(r.Data, &doc); err != nil {
				t.Fatal(err)
			}
			all = append(all, doc.Source.Labels)
		}
		return all
	}
	events := func(want int) {
		t.Helper()
		eventually(t, func() string {
			if got := len(w.records(t)); got != want {
				return fmt.Sprintf("%d events, want %d", got, want)
			}
			return ""
		})
	}
	w.docker.Run("web", "10.0.0.5", labels("/web", "com.df.users", "ann:one"))
	events(1)
	w.docker.Service("web", labels("/web", "com.df.users", "ann:two"), 1)
	events(2)
	stop()
	w.watcher(t)
	w.looks(t, 4)
	events(2)
	if s := sources(); s[0] != s[1] {
		t.Errorf("digests %v depend on the password", s)
	}
}
