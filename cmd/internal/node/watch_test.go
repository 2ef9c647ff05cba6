package node

import (
	"encoding/json"
	"fmt"
	"net/http"
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

// TestRemovalsThatTheLogForgot: what was removed stays so without its event too, until the service
// asks anew.
func TestRemovalsThatTheLogForgot(t *testing.T) {
	t.Parallel()
	for name, removes := range map[string]func(*watched, *testing.T){
		"a person": func(w *watched, t *testing.T) { w.send(t, "remove?serviceName=web") },
		"a watcher": func(w *watched, t *testing.T) {
			w.docker.Service("web", labels("/web"), 0)
			w.want(t, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWatched(t, false)
			stop := w.watcher(t)
			w.docker.Run("web", "10.0.0.5", labels("/web"))
			w.want(t, "web /web")
			removes(w, t)
			stop()
			w.backend.LoseLog()
			stop = w.watcher(t)
			w.looks(t, 3)
			w.want(t, "")
			if name == "a person" {
				w.docker.Service("web", labels("/web"), 2)
				w.looks(t, 3)
				w.want(t, "")
				w.docker.Service("web", labels("/new"), 2)
				w.want(t, "web /new")
				return
			}
			stop()
			w.docker.Service("web", labels("/web"), 1)
			w.watcher(t)
			w.want(t, "web /web")
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
