package service_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"sluice/crdt/service"
)

func withSource(t testing.TB, path string, src *service.Source) []byte {
	t.Helper()
	s := service.Service{Name: "web", Destinations: []service.Destination{{Port: 80, ServicePath: []string{path}}}, Source: src}
	data, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRedundant: what somebody without a source sends does not take over for its own sake; a
// watcher's is news unless it is of the same object with the same labels.
func TestRedundant(t *testing.T) {
	src := service.Source{Kind: service.SwarmSource, Cluster: "c", ID: "1", Version: 7, Labels: "l"}
	other := func(change func(*service.Source)) *service.Source { s := src; change(&s); return &s }
	for _, tt := range []struct {
		name      string
		now, next *service.Source
		want      bool
	}{
		{"nobody's", nil, nil, true},
		{"a person repeats a watcher's", &src, nil, true},
		{"a watcher takes over", nil, &src, false},
		{"another version", &src, other(func(s *service.Source) { s.Version = 8 }), true},
		{"other labels", &src, other(func(s *service.Source) { s.Labels = "m" }), false},
		{"made anew", &src, other(func(s *service.Source) { s.ID = "2" }), false},
		{"another Swarm", &src, other(func(s *service.Source) { s.Cluster = "d" }), false},
	} {
		if got := service.Redundant(withSource(t, "/a", tt.now), withSource(t, "/a", tt.next)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		if service.Redundant(withSource(t, "/a", tt.now), withSource(t, "/b", tt.next)) {
			t.Errorf("%s: another path is nothing new", tt.name)
		}
	}
}

func TestASourceIsChecked(t *testing.T) {
	for given, param := range map[string]string{
		``: "source", `[]`: "source", `{}`: "source.kind",
		`{"kind":"k8s","cluster":"c","id":"1","labels":"l"}`:     "source.kind",
		`{"kind":"swarm","cluster":"a b","id":"1","labels":"l"}`: "source.cluster",
		`{"kind":"swarm","cluster":"c","id":"","labels":"l"}`:    "source.id",
		`{"kind":"swarm","cluster":"c","id":"1","labels":"\n"}`:  "source.labels",
	} {
		_, err := service.ParseSource([]byte(given))
		var fields service.Errors
		if !errors.As(err, &fields) || fields[0].Param != param {
			t.Errorf("%s: %v, want %s", given, err, param)
		}
	}
	src, err := service.ParseSource([]byte(`{"kind":"docker","cluster":"GKOD:OP4S","id":"shop/web","labels":"l","later":1}`))
	if err != nil || src.Owner() != (service.Source{Kind: service.DockerSource, Cluster: "GKOD:OP4S", ID: "shop/web"}) {
		t.Errorf("%+v, %v", src, err)
	}
	s := service.Service{Name: "web", Destinations: []service.Destination{{Port: 80, ServicePath: []string{"/"}}}, Source: &service.Source{Kind: "x"}}
	if err := s.Validate(service.Limits{}); err == nil || !strings.Contains(err.Error(), "source.kind") {
		t.Errorf("a definition with another kind: %v", err)
	}
}

func TestTasksOfAnOverlay(t *testing.T) {
	o := overlay(t, `{"tasks":{"cluster":"c","running":["10.0.0.9","::ffff:10.0.0.1","10.0.0.9"],"leaving":["10.0.0.3"]}}`)
	text, err := o.Canonical()
	if want := `{"tasks":{"cluster":"c","running":["10.0.0.1","10.0.0.9"],"leaving":["10.0.0.3"]}}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	if text, err := overlay(t, `{"tasks":{"cluster":"c"}}`).Canonical(); err != nil || text != nil {
		t.Errorf("of no tasks: %s, %v", text, err)
	}
	for given, want := range map[string]service.State{"10.0.0.3": service.Drain, "10.0.0.1": service.Ready} {
		if state, _ := o.At(service.Server{Host: "web", Addr: netip.MustParseAddr(given), Port: 80}); state != want {
			t.Errorf("%s is %s, want %s", given, state, want)
		}
	}
	o.Servers = map[string]service.Setting{"10.0.0.3": {State: service.Maint}}
	if state, _ := o.At(service.Server{Host: "web", Addr: netip.MustParseAddr("10.0.0.3"), Port: 80}); state != service.Maint {
		t.Errorf("what a person set gives way: %s", state)
	}
	many := `"10.0.0.1"` + strings.Repeat(`,"10.0.0.1"`, service.MaxTasks)
	for given, param := range map[string]string{
		`{"tasks":{"cluster":"c","running":["web"]}}`:              "tasks.running",
		`{"tasks":{"cluster":"c","leaving":["fe80::1%eth0"]}}`:     "tasks.leaving",
		`{"tasks":{"running":["10.0.0.1"]}}`:                       "tasks.cluster",
		`{"tasks":{"cluster":"c","running":[` + many + `]}}`:       "tasks.running",
		`{"tasks":{"cluster":"c","running":["10.0.0.1"],"x":1}}`:   "body",
		`{"tasks":{"cluster":"c d","running":["10.0.0.1"]}}`:       "tasks.cluster",
		`{"tasks":{"cluster":"c","running":"10.0.0.1"}}`:           "tasks.running",
		`{"tasks":{"cluster":"c","running":["10.0.0.1\nevil"]}}`:   "tasks.running",
		`{"tasks":{"cluster":"c","leaving":["10.0.0.1:80"]}}`:      "tasks.leaving",
		`{"tasks":["10.0.0.1"]}`:                                   "tasks",
		`{"tasks":{"cluster":7,"running":["10.0.0.1"]}}`:           "tasks.cluster",
		`{"tasks":{"cluster":"c","running":["10.0.0.0/24"]}}`:      "tasks.running",
		`{"tasks":{"cluster":"\u0000","running":["10.0.0.1"]}}`:    "tasks.cluster",
		`{"tasks":{"cluster":"c","leaving":["10.0.0.1", "nope"]}}`: "tasks.leaving",
	} {
		_, err := service.ParseOverlay([]byte(given))
		var fields service.Errors
		if !errors.As(err, &fields) || fields[0].Param != param {
			t.Errorf("%.80s: %v, want %s", given, err, param)
		}
	}
}
