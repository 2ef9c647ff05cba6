package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

func TestOverlayOfAService(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil) + "/v1/services"
	url := base + "/go-demo/overlay"
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		if got := call(t, method, url, `{"state":"drain"}`); got.status != http.StatusNotFound || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s without the service: %d %s", method, got.status, got.body)
		}
	}
	call(t, http.MethodPut, base+"/go-demo", definition)
	if got := get(t, url); got.status != http.StatusOK || got.body != "{}\n" || got.header.Get("ETag") != "" {
		t.Errorf("no overlay: %d %s", got.status, got.body)
	}
	put := call(t, http.MethodPut, url+"?wait=all", ` { "servers": {"10.0.0.7:080":{"weight":5}}, "state": "drain" }`)
	const want = `{"state":"drain","servers":{"10.0.0.7:80":{"weight":5}}}`
	var changed api.OverlayChanged
	if err := json.Unmarshal([]byte(put.body), &changed); err != nil || put.status != http.StatusOK || string(changed.Overlay) != want || changed.Receipt.Live != "all" {
		t.Fatalf("PUT: %d %s (%v)", put.status, put.body, err)
	}
	if waits := b.Waits(); len(waits) != 1 || waits[0].Key != "overlay/go-demo" || waits[0].Seq != 2 {
		t.Errorf("waited for %+v", waits)
	}
	shown := get(t, url)
	if shown.body != want+"\n" || shown.header.Get("ETag") != put.header.Get("ETag") || shown.header.Get("ETag") != `"`+changed.Receipt.Stamp+`"` {
		t.Errorf("GET: %s, ETag %s, PUT's %s", shown.body, shown.header.Get("ETag"), put.header.Get("ETag"))
	}
	if again := get(t, url, "If-None-Match: "+shown.header.Get("ETag")); again.status != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", again.status)
	}
	if list := get(t, base).body; !strings.Contains(list, `"overlay":`+want) {
		t.Errorf("the list does not show it: %s", list)
	}
	if same := call(t, http.MethodPut, url, shown.body); !strings.Contains(same.body, api.OutcomeUnchanged) {
		t.Errorf("the same again: %s", same.body)
	}
	call(t, http.MethodPut, base+"/go-demo", strings.Replace(definition, "/demo", "/other", 1))
	if got := get(t, url); got.body != want+"\n" {
		t.Errorf("after a reconfigure: %s", got.body)
	}
	if gone := call(t, http.MethodDelete, url, ""); gone.status != http.StatusOK || !strings.Contains(gone.body, `"overlay":{}`) {
		t.Errorf("DELETE: %d %s", gone.status, gone.body)
	}
	if none := get(t, url); none.body != "{}\n" {
		t.Errorf("after DELETE: %s", none.body)
	}
	if e, _ := b.Entry("overlay/go-demo"); !e.Deleted {
		t.Errorf("entry %+v", e)
	}
	if got := get(t, serve(t, b, nil)+"/v1/events?kind=nothing"); got.status != http.StatusBadRequest {
		t.Errorf("events of another kind: %d", got.status)
	}
	if got := records(t, b); got[1].Actor == "" || got[1].Actor != got[0].Actor || got[1].Origin != "api" {
		t.Errorf("who did it: %+v", got[1])
	}
}

func TestConditionsOfAnOverlay(t *testing.T) {
	base := serve(t, apitest.New(), nil) + "/v1/services/go-demo"
	call(t, http.MethodPut, base, definition)
	url, drain := base+"/overlay", `{"state":"drain"}`
	for _, s := range []struct {
		name, method, body, header string
		want                       int
	}{
		{"any version of what is not there", http.MethodPut, drain, "If-Match: *", 412},
		{"the service's version", http.MethodPut, drain, "If-Match: " + get(t, base).header.Get("ETag"), 412},
		{"create", http.MethodPut, drain, "If-None-Match: *", 200},
		{"create again", http.MethodPut, drain, "If-None-Match: *", 412},
		{"another version", http.MethodDelete, "", `If-Match: "0000000000000001-8000000000000001"`, 412},
		{"empty", http.MethodPut, "{}", "If-Match: *", 200},
		{"gone", http.MethodPut, "{}", "If-Match: *", 412},
	} {
		if got := call(t, s.method, url, s.body, s.header); got.status != s.want {
			t.Errorf("%s: %d %s, want %d", s.name, got.status, got.body, s.want)
		}
	}
}

func TestBadOverlays(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil) + "/v1/services/go-demo"
	call(t, http.MethodPut, base, definition)
	for body, param := range map[string]string{
		``: "body", `[]`: "body", `{"stat":"drain"}`: "body", `{"state":"off"}`: "state", `{"weight":257}`: "weight",
		`{"servers":{"a b":{"weight":2}}}`: "servers", `{"servers":{"other.host":{"weight":2}}}`: "servers", `{"destinations":{"7":{"weight":2}}}`: "destinations",
	} {
		got := call(t, http.MethodPut, base+"/overlay", body)
		var p api.Problem
		if err := json.Unmarshal([]byte(got.body), &p); err != nil || got.status != http.StatusBadRequest || len(p.Errors) == 0 || p.Errors[0].Param != param || p.Errors[0].Remedy == "" {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	for path, want := range map[string]int{"?wait=never": 400, "?at=5": 200} {
		if got := call(t, http.MethodPut, base+"/overlay"+path, "{}"); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
	if got := get(t, base+"/overlay?at=5"); got.status != http.StatusBadRequest {
		t.Errorf("GET ?at=: %d", got.status)
	}
	if _, ok := b.Entry("overlay/go-demo"); ok {
		t.Error("a refused overlay is in the state")
	}
}

// An overlay goes with its service, and does not come over the next one of that name.
func TestAnOverlayGoesWithItsService(t *testing.T) {
	const drain = `{"state":"drain"}`
	removals := map[string]func(base string) answer{
		"native": func(base string) answer {
			return call(t, http.MethodDelete, base+"/v1/services/go-demo?wait=local", "")
		},
		"replicas=0": func(base string) answer { return get(t, base+dfp+"reconfigure?serviceName=go-demo&replicas=0") },
		"DFP":        func(base string) answer { return get(t, base+dfp+"remove?serviceName=go-demo") },
	}
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			b := apitest.New()
			base := serve(t, b, nil)
			call(t, http.MethodPut, base+"/v1/services/go-demo", definition)
			call(t, http.MethodPut, base+"/v1/services/go-demo/overlay", drain)
			if got := remove(base); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if e, _ := b.Entry("overlay/go-demo"); e.Live() {
				t.Error("the overlay stays")
			}
			var keys []string
			for _, r := range records(t, b) {
				keys = append(keys, r.Action+" "+r.Key)
			}
			want := []string{"put service/go-demo", "put overlay/go-demo", "removed service/go-demo", "removed overlay/go-demo"}
			if diff := cmp.Diff(want, keys); diff != "" {
				t.Error(diff)
			}
			if waits := b.Waits(); waits[len(waits)-1].Key != "service/go-demo" || waits[len(waits)-1].Seq != 3 {
				t.Errorf("waited for %+v", waits)
			}
		})
	}
	t.Run("an orphan", func(t *testing.T) {
		b := apitest.New()
		if _, err := b.Write(t.Context(), events.Change{Key: "overlay/go-demo", Value: []byte(drain)}); err != nil {
			t.Fatal(err)
		}
		base := serve(t, b, nil)
		if got := get(t, base+dfp+"reconfigure?"+goodQ); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if got := get(t, base+"/v1/services/go-demo/overlay"); got.body != "{}\n" {
			t.Errorf("it comes over the new service: %s", got.body)
		}
	})
	t.Run("over a service of the environment", func(t *testing.T) {
		local := service.Service{Name: "go-demo", Destinations: []service.Destination{{Port: 80, ServicePath: []string{"/"}}}}
		base := serve(t, apitest.New(), func(c *api.Config) { c.Local = map[string]service.Service{"go-demo": local} })
		if got := call(t, http.MethodPut, base+"/v1/services/go-demo/overlay", drain); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		get(t, base+dfp+"reconfigure?"+goodQ)
		if got := get(t, base+"/v1/services/go-demo/overlay"); got.body != drain+"\n" {
			t.Errorf("after it was replaced: %s", got.body)
		}
	})
}

func TestOverlaysNeedAccess(t *testing.T) {
	tokens, err := api.ParseTokens([]byte("viewer:read-token-0123456789:read\n"))
	if err != nil {
		t.Fatal(err)
	}
	base := serve(t, apitest.New(), func(c *api.Config) { c.Tokens = tokens }) + "/v1/services/go-demo/overlay"
	for method, want := range map[string]int{http.MethodGet: 404, http.MethodPut: 403, http.MethodDelete: 403} {
		if got := call(t, method, base, "{}", "Authorization: Bearer read-token-0123456789"); got.status != want {
			t.Errorf("%s: %d, want %d", method, got.status, want)
		}
		if got := call(t, method, base, "{}"); got.status != http.StatusUnauthorized {
			t.Errorf("%s without token: %d", method, got.status)
		}
	}
}

// Two clients that change an overlay at once lose nothing.
func TestClientChangesOverlays(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil)
	client, err := api.NewClient(api.ClientConfig{Base: base, Origin: "cli"})
	if err != nil {
		t.Fatal(err)
	}
	drain := func(address string) func(*service.Overlay) {
		return func(o *service.Overlay) {
			if o.Servers == nil {
				o.Servers = map[string]service.Setting{}
			}
			o.Servers[address] = service.Setting{State: service.Drain}
		}
	}
	var p *api.Problem
	if _, err := client.ChangeOverlay(t.Context(), "go-demo", api.Options{}, drain("10.0.0.1")); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("no service: %v", err)
	}
	call(t, http.MethodPut, base+"/v1/services/go-demo", definition)
	disturbed := false
	got, err := client.ChangeOverlay(t.Context(), "go-demo", api.Options{Wait: events.WaitLocal}, func(o *service.Overlay) {
		if !disturbed {
			disturbed = true
			if _, err := client.ChangeOverlay(t.Context(), "go-demo", api.Options{}, drain("10.0.0.2")); err != nil {
				t.Error(err)
			}
		}
		drain("10.0.0.1")(o)
	})
	want := `{"servers":{"10.0.0.1":{"state":"drain"},"10.0.0.2":{"state":"drain"}}}`
	if err != nil || string(got.Overlay) != want || got.Receipt.Live != "local" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = client.ChangeOverlay(t.Context(), "go-demo", api.Options{}, drain("10.0.0.1")); err != nil || got.Receipt.Outcome != api.OutcomeUnchanged {
		t.Errorf("the same again: %+v, %v", got, err)
	}
	if _, err := client.ChangeOverlay(t.Context(), "go-demo", api.Options{IfMatch: "0000000000000001-8000000000000001"}, drain("10.0.0.3")); !errors.As(err, &p) || p.Status != http.StatusPreconditionFailed {
		t.Errorf("another version: %v", err)
	}
	if got, err = client.ChangeOverlay(t.Context(), "go-demo", api.Options{}, func(o *service.Overlay) { *o = service.Overlay{} }); err != nil || string(got.Overlay) != "{}" {
		t.Errorf("lifted: %+v, %v", got, err)
	}
}

// FuzzPutOverlay: whatever the body, the answer is the caller's fault or a stored overlay.
func FuzzPutOverlay(f *testing.F) {
	f.Add(`{"state":"drain","servers":{"10.0.0.1":{"weight":3}}}`)
	f.Add(`{"destinations":{"0":{"state":"maint"}}}`)
	h := handler(f, apitest.New(), nil)
	send := func(path, body string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPut, path, strings.NewReader(body))
		req.RemoteAddr, req.Host = local.addr, local.host
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec
	}
	send("/v1/services/go-demo", definition)
	f.Fuzz(func(t *testing.T, body string) {
		if rec := send("/v1/services/go-demo/overlay", body); rec.Code >= 500 || !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%q: %d %s", body, rec.Code, rec.Body)
		}
	})
}
