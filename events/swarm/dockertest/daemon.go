// Package dockertest is for tests only: a Docker daemon at the network edge, with switches for
// what a real one cannot be made to do at a chosen moment. What it answers is checked against
// a real daemon by the tests of package swarm.
package dockertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
)

// Daemon answers as a Docker daemon does: as the manager of a Swarm, or as a plain host. Safe
// for concurrent use.
type Daemon struct {
	// Host is its address, for a client.
	Host string

	mu         sync.Mutex
	plain      bool
	services   map[string]*swarm.Service
	tasks      map[string]swarm.Task
	containers map[string]container.Summary
	version    uint64
	followers  map[chan events.Message]bool
	fault      func(path string) int
	empty      bool
	silent     bool
	asked      map[string]int
}

// Start starts a daemon that has nothing; plain: it is in no Swarm.
func Start(t testing.TB, plain bool) *Daemon {
	t.Helper()
	d := &Daemon{plain: plain, services: map[string]*swarm.Service{}, tasks: map[string]swarm.Task{}, version: 10,
		containers: map[string]container.Summary{}, followers: map[chan events.Message]bool{}, asked: map[string]int{}}
	s := httptest.NewServer(d)
	t.Cleanup(func() {
		d.Break()
		s.CloseClientConnections()
		s.Close()
	})
	d.Host = "tcp://" + strings.TrimPrefix(s.URL, "http://")
	return d
}

// Fault makes requests of a path, such as /services, fail with the status that f returns; 0:
// it does not fail. Nil ends that.
func (d *Daemon) Fault(f func(path string) int) { d.with(func() { d.fault = f }) }

// Empty makes it list nothing at all, although it has the same as before.
func (d *Daemon) Empty(on bool) { d.with(func() { d.empty = on }) }

// Leave makes it a plain host, as which a manager shows itself while it stops.
func (d *Daemon) Leave(on bool) { d.with(func() { d.plain = on }) }

// Silent makes it lose its events.
func (d *Daemon) Silent(on bool) { d.with(func() { d.silent = on }) }

// Break ends every stream of events.
func (d *Daemon) Break() {
	d.with(func() {
		for f := range d.followers {
			close(f)
			delete(d.followers, f)
		}
	})
}

// Asked is how often a path was asked for.
func (d *Daemon) Asked(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[path]
}

func (d *Daemon) with(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do()
}

// Service makes a service, or changes the labels and the number of replicas of the one with
// the name, and returns its id. Its tasks are changed with Task.
func (d *Daemon) Service(name string, labels map[string]string, replicas uint64) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, action := d.services["id-"+name], events.ActionUpdate
	if s != nil {
		before := s.Spec
		s.PreviousSpec = &before
	} else {
		s, action = &swarm.Service{ID: "id-" + name, Meta: swarm.Meta{CreatedAt: time.Now()}}, events.ActionCreate
		d.services[s.ID] = s
	}
	d.version++
	s.Version.Index, s.UpdatedAt = d.version, time.Now()
	s.Spec = swarm.ServiceSpec{Annotations: swarm.Annotations{Name: name, Labels: labels},
		Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}}, EndpointSpec: &swarm.EndpointSpec{Mode: swarm.ResolutionModeDNSRR}}
	d.tell(events.ServiceEventType, action, s.ID)
	return s.ID
}

// Task makes or changes a task of the service with the name.
func (d *Daemon) Task(name string, addr string, desired, state swarm.TaskState) {
	d.with(func() {
		id := name + "-" + addr
		d.tasks[id] = swarm.Task{ID: id, ServiceID: "id-" + name, DesiredState: desired, Status: swarm.TaskStatus{State: state},
			NetworksAttachments: []swarm.NetworkAttachment{{
				Network:   swarm.Network{Spec: swarm.NetworkSpec{Annotations: swarm.Annotations{Name: "proxy"}}},
				Addresses: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(addr), 24)},
			}}}
	})
}

// Run makes a service with one task that runs.
func (d *Daemon) Run(name, addr string, labels map[string]string) {
	d.Task(name, addr, swarm.TaskStateRunning, swarm.TaskStateRunning)
	d.Service(name, labels, 1)
}

// Remove removes the service with the name and its tasks.
func (d *Daemon) Remove(name string) {
	d.with(func() {
		delete(d.services, "id-"+name)
		for id, t := range d.tasks {
			if t.ServiceID == "id-"+name {
				delete(d.tasks, id)
			}
		}
		d.tell(events.ServiceEventType, events.ActionRemove, "id-"+name)
	})
}

// Container makes or changes a container; status is as docker ps shows it.
func (d *Daemon) Container(name, addr, status string, labels map[string]string) {
	d.with(func() {
		state := container.StateRunning
		if !strings.HasPrefix(status, "Up") {
			state = container.StateExited
		}
		c := container.Summary{ID: "id-" + name, Names: []string{"/" + name}, Labels: labels, State: state, Status: status, Created: time.Now().Unix(),
			NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{}}}
		if state == container.StateRunning {
			c.NetworkSettings.Networks["front"] = &network.EndpointSettings{IPAddress: netip.MustParseAddr(addr)}
		}
		d.containers[c.ID] = c
		d.tell(events.ContainerEventType, events.ActionStart, c.ID)
	})
}

// Connect puts a container into one more network.
func (d *Daemon) Connect(name, net, addr string) {
	d.with(func() {
		d.containers["id-"+name].NetworkSettings.Networks[net] = &network.EndpointSettings{IPAddress: netip.MustParseAddr(addr)}
		d.tell(events.NetworkEventType, events.ActionConnect, net)
	})
}

// RemoveContainer removes the container with the name.
func (d *Daemon) RemoveContainer(name string) {
	d.with(func() {
		delete(d.containers, "id-"+name)
		d.tell(events.ContainerEventType, events.ActionDestroy, "id-"+name)
	})
}

// tell sends an event to who follows and keeps up; the caller holds mu.
func (d *Daemon) tell(kind events.Type, action events.Action, id string) {
	if d.silent {
		return
	}
	now := time.Now()
	m := events.Message{Type: kind, Action: action, Actor: events.Actor{ID: id}, Time: now.Unix(), TimeNano: now.UnixNano()}
	for f := range d.followers {
		select {
		case f <- m:
		default:
		}
	}
}

// ServeHTTP answers the few questions that a watcher asks.
func (d *Daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1.") { // the version of the API
		_, rest, _ := strings.Cut(path[1:], "/")
		path = "/" + rest
	}
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	if path == "/events" {
		d.follow(w, r)
		return
	}
	d.mu.Lock()
	status, answer := d.answer(path)
	body, err := json.Marshal(answer)
	d.mu.Unlock()
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone does not need the answer
}

// answer is called with mu held.
func (d *Daemon) answer(path string) (int, any) {
	d.asked[path]++
	if d.fault != nil {
		if status := d.fault(path); status != 0 {
			return status, message("not now")
		}
	}
	id, inspect := strings.CutPrefix(path, "/services/")
	switch {
	case path == "/_ping":
		return http.StatusOK, "OK"
	case path == "/info":
		return http.StatusOK, d.info()
	case path == "/containers/json":
		return http.StatusOK, d.listContainers()
	case d.plain && (path == "/services" || path == "/tasks" || inspect):
		return http.StatusServiceUnavailable, message("This node is not a swarm manager.")
	case path == "/services":
		return http.StatusOK, d.listServices()
	case path == "/tasks":
		return http.StatusOK, d.listTasks()
	case inspect && d.services[id] != nil:
		return http.StatusOK, d.services[id]
	}
	return http.StatusNotFound, message(fmt.Sprintf("%s not found", path))
}

func message(text string) map[string]string { return map[string]string{"message": text} }

func (d *Daemon) info() system.Info {
	info := system.Info{ID: "daemon-1"}
	info.Swarm.LocalNodeState = swarm.LocalNodeStateInactive
	if !d.plain {
		info.Swarm = swarm.Info{LocalNodeState: swarm.LocalNodeStateActive, ControlAvailable: true, Cluster: &swarm.ClusterInfo{ID: "swarm-1"}}
	}
	return info
}

func (d *Daemon) listServices() []*swarm.Service {
	list := []*swarm.Service{}
	for _, s := range d.services {
		if !d.empty {
			list = append(list, s)
		}
	}
	return list
}

func (d *Daemon) listTasks() []swarm.Task {
	list := []swarm.Task{}
	for _, t := range d.tasks {
		list = append(list, t)
	}
	return list
}

func (d *Daemon) listContainers() []container.Summary {
	list := []container.Summary{}
	for _, c := range d.containers {
		if !d.empty {
			list = append(list, c)
		}
	}
	return list
}

// follow streams events until the client goes or Break.
func (d *Daemon) follow(w http.ResponseWriter, r *http.Request) {
	f := make(chan events.Message, 100)
	d.with(func() { d.followers[f] = true })
	rc := http.NewResponseController(w)
	_ = rc.Flush() // as below: a client that is gone
	for {
		select {
		case <-r.Context().Done():
			d.with(func() { delete(d.followers, f) })
			return
		case m, ok := <-f:
			if !ok || json.NewEncoder(w).Encode(m) != nil || rc.Flush() != nil {
				return
			}
		}
	}
}
