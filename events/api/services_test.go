package api_test

import (
	"encoding/json"
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

const definition = `{"destinations":[{"port":8080,"servicePath":["/demo"]}]}`

func records(t testing.TB, b *apitest.Backend) []events.Record {
	t.Helper()
	var out []events.Record
	if err := b.Records(t.Context(), events.Query{}, func(r events.Record) error { out = append(out, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPutGetDelete(t *testing.T) {
	base := serve(t, apitest.New(), nil) + "/v1/services"
	put := call(t, http.MethodPut, base+"/go-demo", definition)
	if put.status != http.StatusOK {
		t.Fatalf("PUT: %d %s", put.status, put.body)
	}
	var changed api.Changed
	if err := json.Unmarshal([]byte(put.body), &changed); err != nil {
		t.Fatal(err)
	}
	want := api.Receipt{Outcome: api.OutcomeDurable, StreamID: "log-1", Seq: 1, Stamp: changed.Receipt.Stamp, EventID: changed.Receipt.Stamp, Result: "applied"}
	if diff := cmp.Diff(want, changed.Receipt); diff != "" {
		t.Error(diff)
	}
	one := get(t, base+"/go-demo")
	if etag := one.header.Get("ETag"); one.status != http.StatusOK || etag != `"`+changed.Receipt.Stamp+`"` || etag != put.header.Get("ETag") {
		t.Errorf("GET: %d, ETag %s", one.status, etag)
	}
	if doc := one.json(t); doc["serviceName"] != "go-demo" {
		t.Errorf("definition %v", doc)
	}
	if again := get(t, base+"/go-demo", "If-None-Match: "+one.header.Get("ETag")); again.status != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", again.status)
	}
	if list := get(t, base).json(t)["services"].([]any); len(list) != 1 {
		t.Errorf("%d services", len(list))
	}
	if same := call(t, http.MethodPut, base+"/go-demo", one.body); same.json(t)["receipt"].(map[string]any)["outcome"] != api.OutcomeUnchanged {
		t.Errorf("sending back what GET answered: %s", same.body)
	}
	if gone := call(t, http.MethodDelete, base+"/go-demo", ""); gone.status != http.StatusOK {
		t.Errorf("DELETE: %d %s", gone.status, gone.body)
	}
	if none := get(t, base+"/go-demo"); none.status != http.StatusNotFound || none.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("GET after DELETE: %d", none.status)
	}
	if list := get(t, base); list.body != "{\"services\":[]}\n" {
		t.Errorf("list after DELETE: %s", list.body)
	}
}

func TestConditionsOfAChange(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil) + "/v1/services/go-demo"
	status := func(method, header string) int {
		return call(t, method, base, definition, header).status
	}
	steps := []struct {
		name, method, header string
		want                 int
	}{
		{"any version of what is not there", http.MethodPut, "If-Match: *", 412},
		{"create", http.MethodPut, "If-None-Match: *", 200},
		{"create again", http.MethodPut, "If-None-Match: *", 412},
		{"any version", http.MethodPut, "If-Match: *", 200},
		{"another version", http.MethodPut, `If-Match: "0000000000000001-8000000000000001"`, 412},
		{"delete another version", http.MethodDelete, `If-Match: "0000000000000001-8000000000000001"`, 412},
		{"no ETag", http.MethodPut, "If-Match: yes", 400},
		{"without quotes", http.MethodPut, "If-Match: 0000000000000001-8000000000000001", 400},
		{"weak", http.MethodPut, `If-Match: W/"0000000000000001-8000000000000001"`, 400},
		{"an ETag as If-None-Match", http.MethodPut, `If-None-Match: "a"`, 400},
	}
	for _, s := range steps {
		if got := status(s.method, s.header); got != s.want {
			t.Errorf("%s: %d, want %d", s.name, got, s.want)
		}
	}
	if got := status(http.MethodDelete, "If-Match: "+get(t, base).header.Get("ETag")); got != http.StatusOK {
		t.Errorf("delete this version: %d", got)
	}
}

func TestBadBodies(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil) + "/v1/services/"
	tests := []struct {
		name, path, body string
		status           int
		param            string
	}{
		{"no JSON", "go-demo", "{", 400, "body"},
		{"no object", "go-demo", "[]", 400, "body"},
		{"null", "go-demo", "null", 400, "destinations"},
		{"neither path nor domain", "go-demo", `{"destinations":[{"port":80}]}`, 409, "servicePath"},
		{"wrong type", "go-demo", `{"destinations":[{"port":"x","servicePath":["/a"]}]}`, 400, "port"},
		{"another name", "go-demo", `{"serviceName":"b","destinations":[{"port":80,"servicePath":["/a"]}]}`, 400, "serviceName"},
		{"bad name", "a%20b", definition, 400, "serviceName"},
		{"line break", "go-demo", `{"destinations":[{"port":80,"servicePath":["/a\nb"]}]}`, 400, "servicePath"},
		{"too large", "go-demo", `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
		{"a secret without cluster key", "go-demo", `{"users":[{"name":"me","password":"secret-password"}],"destinations":[{"port":80,"servicePath":["/a"]}]}`, 400, "users"},
		{"at", "go-demo?wait=never", definition, 400, "wait"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := call(t, http.MethodPut, base+tt.path, tt.body)
			if got.status != tt.status || got.header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%d %s, want %d", got.status, got.body, tt.status)
			}
			if tt.param != "" && !strings.Contains(got.body, tt.param) {
				t.Errorf("%s does not name %s", got.body, tt.param)
			}
			if strings.Contains(got.body, "secret-password") {
				t.Errorf("the answer echoes a password: %s", got.body)
			}
		})
	}
	if n := len(b.Entries("")); n != 0 {
		t.Errorf("%d entries after refused changes", n)
	}
}

func TestParametersAsAForm(t *testing.T) {
	b := apitest.New()
	got := call(t, http.MethodPut, serve(t, b, nil)+"/v1/services/go-demo?wait=local", "serviceName=other&servicePath=/demo&port=8080",
		"Content-Type: application/x-www-form-urlencoded")
	if _, ok := b.Entry("service/go-demo"); got.status != http.StatusOK || !ok || got.json(t)["receipt"].(map[string]any)["live"] != "local" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestSecretsAreNeverShownAndMayBeKept(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, func(c *api.Config) { c.Key = clusterKey(t) })
	url := base + "/v1/services/go-demo"
	with := `{"users":[{"name":"me","password":"secret-password"}],"destinations":[{"port":8080,"servicePath":["/demo"]}]}`
	put := call(t, http.MethodPut, url, with)
	stored, _ := b.Entry("service/go-demo")
	svc, err := service.Decode(stored.Value)
	if err != nil || len(svc.Users) != 1 || svc.Users[0].Digest == "" {
		t.Fatalf("stored %s (%v)", stored.Value, err)
	}
	shown := get(t, url)
	seen := []answer{put, shown, get(t, base+"/v1/services"), get(t, base+"/v1/events"), get(t, base+dfp+"config?type=json")}
	for _, a := range seen {
		for _, secret := range []string{"secret-password", svc.Users[0].Digest, svc.Users[0].Salt} {
			if strings.Contains(a.body, secret) {
				t.Errorf("%s is shown: %s", secret, a.body)
			}
		}
		if !strings.Contains(a.body, `"me"`) {
			t.Errorf("the user's name is missing: %s", a.body)
		}
	}
	edited := strings.Replace(shown.body, `"/demo"`, `"/other"`, 1)
	if got := call(t, http.MethodPut, url, edited); got.status != http.StatusOK {
		t.Fatalf("PUT of an edited definition: %d %s", got.status, got.body)
	}
	now, _ := b.Entry("service/go-demo")
	next, err := service.Decode(now.Value)
	if diff := cmp.Diff(svc.Users, next.Users); err != nil || diff != "" {
		t.Errorf("users were not kept: %v %s", err, diff)
	}
	if got := call(t, http.MethodPut, base+"/v1/services/other", shown.body[:1]+`"users":[{"name":"me","secret":"kept"}],"destinations":[{"port":80,"servicePath":["/x"]}]}`); got.status != http.StatusBadRequest {
		t.Errorf("keeping what another service has: %d %s", got.status, got.body)
	}
}

func TestReadRoutes(t *testing.T) {
	base := serve(t, apitest.New(), nil)
	for path, want := range map[string]int{
		"/v1/replicas": 200, "/v1/services?at=5": 400, "/v1/services/..%2Fx": 404, "/nope": 404, dfp + "nope": 404, dfp + "cert": 405, dfp + "certs": 200, "/ui/": 404,
	} {
		if got := get(t, base+path); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
	if got := call(t, http.MethodPost, base+"/v1/services", ""); got.status != 405 || got.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("POST: %d, Allow %q", got.status, got.header.Get("Allow"))
	}
}

// FuzzPut: whatever the body, the answer is the caller's fault or a stored definition.
func FuzzPut(f *testing.F) {
	f.Add(definition)
	f.Add(`{"users":[{"name":"a","secret":"kept"}],"serviceCert":{"secret":"kept"}}`)
	f.Add(`{"users":[null,1,{"secret":"kept"}],"serviceCert":"x"}`)
	f.Add(`{"users":{"secret":"kept"},"destinations":[{"port":1e99}]}`)
	h := handler(f, apitest.New(), func(c *api.Config) { c.Key = clusterKey(f) })
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest(http.MethodPut, "/v1/services/go-demo", strings.NewReader(body))
		req.RemoteAddr, req.Host = local.addr, local.host
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code >= 500 || !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%q: %d %s", body, rec.Code, rec.Body)
		}
	})
}

// TestMisspelledNames: on native routes they are refused, and nothing is written; on Docker Flow
// Proxy's and from labels they are ignored.
func TestMisspelledNames(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil)
	for _, c := range []struct {
		name, body string
		headers    []string
		param      string
	}{
		{"JSON", `{"user":[{"name":"a","password":"b"}],"destinations":[{"port":80,"servicePath":["/n"]}]}`, nil, "user"},
		{"JSON with a service's field", `{"denyHttps":true,"destinations":[{"port":80,"servicePath":["/n"]}]}`, nil, "denyHttps"},
		{"JSON in a list", `{"users":[{"name":"a","passwort":"b"}],"destinations":[{"port":80,"servicePath":["/n"]}]}`, nil, "passwort"},
		{"form", "port=80&servicePath=/n&denyHtpp=true", []string{"Content-Type: application/x-www-form-urlencoded"}, "denyHtpp"},
	} {
		got := call(t, http.MethodPut, base+"/v1/services/n", c.body, c.headers...)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, `"param":"`+c.param+`"`) || !strings.Contains(got.body, "nearest") {
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
	}
	if list := records(t, b); len(list) != 0 {
		t.Errorf("%d events", len(list))
	}
	if got := get(t, base+"/v1/docker-flow-proxy/reconfigure?serviceName=n&port=80&servicePath=/n&denyHtpp=true"); got.status != http.StatusOK {
		t.Errorf("Docker Flow Proxy's route: %d %s", got.status, got.body)
	}
}

// TestJSONThatIsCalledAForm: curl -d says so of everything.
func TestJSONThatIsCalledAForm(t *testing.T) {
	base := serve(t, apitest.New(), nil) + "/v1/services/n"
	if got := call(t, http.MethodPut, base, "\n "+definition, "Content-Type: application/x-www-form-urlencoded"); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := get(t, base).json(t); got["destinations"] == nil {
		t.Errorf("%v", got)
	}
}
