package main

import (
	"encoding/json"
	"strings"
	"testing"

	"sluice/events/api"
	"sluice/events/api/apitest"
)

func TestOverlayCommands(t *testing.T) {
	b := apitest.New()
	env := environment(serve(t, b), writeToken)
	if got := sluice(t, env, "", "drain", "go-demo"); got.code != exitFailed || !strings.Contains(got.err, `there is no service "go-demo"`) {
		t.Fatalf("no service: %+v", got)
	}
	sluice(t, env, "", "reconfigure", "go-demo", "--set", "port.1=8080", "--set", "servicePath.1=/demo", "--set", "port.2=8081", "--set", "servicePath.2=/two")
	for _, step := range []struct{ command, want string }{
		{"drain go-demo", `{"state":"drain"}`},
		{"ready go-demo --server 10.0.0.7:080", `{"state":"drain","servers":{"10.0.0.7:80":{"state":"ready"}}}`},
		{"maintenance go-demo", `{"state":"maint"}`},
		{"ready go-demo", `{}`},
		{"ready go-demo --server 10.0.0.7", `{}`},
		{"weight go-demo --server 10.0.0.7 5", `{"servers":{"10.0.0.7":{"weight":5}}}`},
		{"maintenance go-demo --server 10.0.0.7 --server go-demo:8080", `{"servers":{"10.0.0.7":{"state":"maint","weight":5},"go-demo:8080":{"state":"maint"}}}`},
		{"drain go-demo --destination 2", `{"destinations":{"2":{"state":"drain"}},"servers":{"10.0.0.7":{"state":"maint","weight":5},"go-demo:8080":{"state":"maint"}}}`},
		{"ready go-demo --server go-demo:8080 --destination 2", `{"destinations":{"2":{"state":"ready"}},"servers":{"10.0.0.7":{"state":"maint","weight":5},"go-demo:8080":{"state":"ready"}}}`},
		{"weight go-demo 0 --destination 1", `{"destinations":{"1":{"weight":0},"2":{"state":"ready"}},"servers":{"10.0.0.7":{"state":"maint","weight":5},"go-demo:8080":{"state":"ready"}}}`},
		{"weight go-demo 1 --destination 1 --server 10.0.0.7", `{"destinations":{"2":{"state":"ready"}},"servers":{"10.0.0.7":{"state":"maint"},"go-demo:8080":{"state":"ready"}}}`},
		{"ready go-demo", `{}`},
	} {
		got := sluice(t, env, "", append(strings.Fields(step.command), "--output", "json")...)
		var changed api.OverlayChanged
		if err := json.Unmarshal([]byte(got.out), &changed); err != nil || got.code != exitDone || changed.Receipt.Live != "all" {
			t.Fatalf("%s: %+v", step.command, got)
		}
		if text := strings.Join(strings.Fields(string(changed.Overlay)), ""); text != step.want {
			t.Errorf("%s: %s, want %s", step.command, text, step.want)
		}
	}
	if got := sluice(t, env, "", "drain", "go-demo"); got.code != exitDone || !strings.Contains(got.out, "live on all replicas") {
		t.Errorf("as text: %+v", got)
	}
	if got := sluice(t, env, "", "show", "go-demo"); !strings.Contains(got.err, `in force over it: {"state":"drain"}`) || !strings.Contains(got.out, "serviceName: go-demo") {
		t.Errorf("show: %+v", got)
	}
	if got := sluice(t, env, "", "services"); !strings.Contains(got.out, " drain ") {
		t.Errorf("services: %+v", got)
	}
	if got := sluice(t, env, "", "log", "go-demo", "--kind", "overlay"); !strings.Contains(got.out, "overlay.removed") || strings.Contains(got.out, "service/go-demo") {
		t.Errorf("log: %+v", got)
	}
}

func TestRefusedOverlayCommands(t *testing.T) {
	base := serve(t, apitest.New())
	env := environment(base, writeToken)
	sluice(t, env, "", "reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo")
	for command, want := range map[string]struct {
		code int
		says string
	}{
		"drain go-demo --server a:b":           {exitRefused, "server"},
		"drain go-demo --server other.host":    {exitRefused, "other.host"},
		"drain go-demo --destination 5":        {exitRefused, "destinations"},
		"weight go-demo 300 --server 10.0.0.1": {exitRefused, "weight"},
		"weight go-demo 3":                     {exitFailed, "--server"},
		"drain":                                {exitFailed, "arg"},
		"drain go-demo --if-match 1-1":         {exitRefused, "If-Match"},
		"maintenance no/name":                  {exitRefused, "serviceName"},
		"ready other":                          {exitFailed, "other"},
	} {
		if got := sluice(t, env, "", strings.Fields(command)...); got.code != want.code || !strings.Contains(got.err, want.says) {
			t.Errorf("%s: %+v, want exit %d about %s", command, got, want.code, want.says)
		}
	}
	if got := sluice(t, environment(base, readToken), "", "drain", "go-demo"); got.code != exitRefused {
		t.Errorf("a token that may read: %+v", got)
	}
}
