package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sluice/crdt/service"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

func watcherClient(t testing.TB, base, token string) *api.Client {
	t.Helper()
	c, err := api.NewClient(api.ClientConfig{Base: base, Token: token, Origin: api.OriginSwarm})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func asked(path string) url.Values {
	return url.Values{"serviceName": {"web"}, "servicePath": {path}, "port": {"80"}}
}

func sourceIn(t testing.TB, b *apitest.Backend) *service.Source {
	t.Helper()
	e, _ := b.Entry(service.Key("web"))
	s, err := service.Decode(e.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s.Source
}

// TestWhoseADefinitionIs: a watcher's has its source, whoever changes it takes it over, and
// nobody else can give one.
func TestWhoseADefinitionIs(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, func(c *api.Config) { c.Insecure = true })
	c, src := watcherClient(t, base, ""), service.Source{Kind: service.SwarmSource, Cluster: "c", ID: "1", Version: 7, Labels: "l"}
	got, err := c.Announcement(t.Context(), asked("/web"), src, api.Options{IfAbsent: true})
	if err != nil || sourceIn(t, b) == nil || *sourceIn(t, b) != src {
		t.Fatalf("%+v, %v", sourceIn(t, b), err)
	}
	src.Version = 8
	same, err := c.Announcement(t.Context(), asked("/web"), src, api.Options{IfMatch: got.Receipt.Stamp})
	if err != nil || same.Receipt.Outcome != api.OutcomeUnchanged || same.Receipt.Stamp != got.Receipt.Stamp {
		t.Errorf("another version: %+v, %v", same.Receipt, err)
	}
	if _, err := c.Announcement(t.Context(), asked("/web"), src, api.Options{IfAbsent: true}); status(err) != http.StatusPreconditionFailed {
		t.Errorf("it is there already: %v", err)
	}
	shown := get(t, base+"/v1/services/web")
	if !strings.Contains(shown.body, `"source":{`) {
		t.Errorf("it is not shown: %s", shown.body)
	}
	call(t, http.MethodPut, base+"/v1/services/web", shown.body)
	if sourceIn(t, b) == nil {
		t.Error("a person who changes nothing takes it over")
	}
	call(t, http.MethodPut, base+"/v1/services/web", strings.Replace(shown.body, "/web", "/mine", 1))
	if s := sourceIn(t, b); s != nil {
		t.Errorf("a person's change keeps the source %+v", s)
	}
	call(t, http.MethodPut, base+"/v1/services/web", shown.body, api.SourceHeader+`: {"kind":"swarm","cluster":"c","id":"1","labels":"l"}`)
	if s := sourceIn(t, b); s != nil {
		t.Errorf("somebody gave the source %+v", s)
	}
	before := state(t, b)
	if a := call(t, http.MethodPut, base+"/v1/services/web", shown.body, api.OriginHeader+": swarm"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "source") {
		t.Errorf("a watcher without source: %d %s", a.status, a.body)
	}
	if after := state(t, b); after != before {
		t.Errorf("it changed something: %s", after)
	}
}

// TestTasksAndSettingsHaveTheirOwners: neither side changes or ends what the other put.
func TestTasksAndSettingsHaveTheirOwners(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, func(c *api.Config) { c.Insecure = true })
	call(t, http.MethodPut, base+"/v1/services/web", strings.Replace(definition, "go-demo", "web", 1))
	overlay, c := base+"/v1/services/web/overlay", watcherClient(t, base, "")
	set := func(tasks service.Tasks) string {
		t.Helper()
		got, err := c.SetTasks(t.Context(), "web", tasks)
		if err != nil {
			t.Fatal(err)
		}
		return string(got.Overlay)
	}
	one := service.Tasks{Cluster: "c", Running: []string{"10.0.0.1"}}
	const tasks, drain = `"tasks":{"cluster":"c","running":["10.0.0.1"]}`, `"state":"drain"`
	for _, step := range []struct {
		what, got, want string
	}{
		{"a watcher tells", set(one), "{" + tasks + "}"},
		{"a person drains", overlayOf(t, call(t, http.MethodPut, overlay, "{"+drain+"}")), "{" + drain + "," + tasks + "}"},
		{"a person sends other tasks", overlayOf(t, call(t, http.MethodPut, overlay, `{`+drain+`,"tasks":{"cluster":"x","running":["10.6.6.6"]}}`)), "{" + drain + "," + tasks + "}"},
		{"a watcher knows of none", set(service.Tasks{}), "{" + drain + "}"},
		{"a watcher tells again", set(one), "{" + drain + "," + tasks + "}"},
		{"a person ends it", overlayOf(t, call(t, http.MethodDelete, overlay, "")), "{" + tasks + "}"},
		{"a watcher ends it", set(service.Tasks{}), "{}"},
	} {
		if step.got != step.want {
			t.Errorf("%s: %s, want %s", step.what, step.got, step.want)
		}
	}
}

func overlayOf(t testing.TB, a answer) string {
	t.Helper()
	var out api.OverlayChanged
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return string(out.Overlay)
}

// TestFromInside: a part of the program needs no token, and nobody outside can pass for one.
func TestFromInside(t *testing.T) {
	b := apitest.New()
	cfg := config(b)
	cfg.Tokens = tokens(t)
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.NewClient(api.ClientConfig{Base: "http://inside", Origin: api.OriginSwarm, HTTP: s.Inside()})
	if err != nil {
		t.Fatal(err)
	}
	src := service.Source{Kind: service.DockerSource, Cluster: "c", ID: "web", Labels: "l"}
	if _, err := c.Announcement(t.Context(), asked("/web"), src, api.Options{IfAbsent: true}); err != nil {
		t.Error(err)
	}
	if got := actors(t, b); got != "watcher by swarm" {
		t.Errorf("the event is of %s", got)
	}
	if list, err := c.Services(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	if _, err := watcherClient(t, srv.URL, "").Services(t.Context()); status(err) != http.StatusUnauthorized {
		t.Errorf("from outside without a token: %v", err)
	}
}
