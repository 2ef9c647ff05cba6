package api_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestReconfigureAnswersLikeDockerFlowProxy(t *testing.T) {
	base := serve(t, apitest.New(), func(c *api.Config) { c.Key = clusterKey(t) })
	q := url.Values{
		"serviceName": {"go-demo"}, "aclName": {"01-demo"}, "servicePath.1": {"/demo,/api"}, "port.1": {"8080"},
		"serviceDomain.1": {"acme.com"}, "reqPathSearchReplace.1": {"/a,/b:/c,/d"}, "serviceHeader.1": {"X-Env:dev"},
		"srcPort.1": {"443"}, "servicePath.2": {"/other"}, "port.2": {"8081"}, "timeoutServer.2": {"30"},
		"setReqHeader": {"X-A one,X-B two"}, "users": {"me:secret-password"}, "replicas": {"3"},
	}
	got := get(t, base+dfp+"reconfigure?"+q.Encode())
	if got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	if strings.Contains(got.body, "secret-password") {
		t.Errorf("the answer echoes a password: %s", got.body)
	}
	const golden = "testdata/reconfigure.json"
	if *update {
		if err := os.WriteFile(golden, []byte(got.body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.body); diff != "" {
		t.Error(diff)
	}
}

func TestDockerFlowProxyStatuses(t *testing.T) {
	tests := []struct {
		name, path string
		status     int
		message    string
	}{
		{"ping", "ping", 200, ""},
		{"complete", "reconfigure?" + goodQ, 200, ""},
		{"without path and domain", "reconfigure?serviceName=go-demo&port=8080", 409, "servicePath"},
		{"without port", "reconfigure?serviceName=go-demo&servicePath=%2Fdemo", 400, "port"},
		{"without name", "reconfigure?servicePath=%2Fx&port=80", 400, "serviceName"},
		{"tcp without entry port", "reconfigure?serviceName=a&reqMode=tcp&port=80", 400, "srcPort"},
		{"all problems at once", "reconfigure?serviceName=a%20b&servicePath=%2Fx&port=80&aclName=..%2Fx", 400, "aclName"},
		{"no scope", "reconfigure?" + goodQ + "&wait=some", 400, "wait"},
		{"no time", "reconfigure?" + goodQ + "&timeout=-1s", 400, "timeout"},
		{"bad encoding", "reconfigure?serviceName=a;b&x=%zz", 400, "query"},
		{"distribute", "reconfigure?" + goodQ + "&distribute=true", 200, "Distributed to all instances"},
		{"distribute=false", "reconfigure?" + goodQ + "&distribute=false", 200, ""},
		{"no replicas removes", "reconfigure?serviceName=go-demo&servicePath=%2Fdemo&port=8080&replicas=0", 200, ""},
		{"remove", "remove?serviceName=go-demo", 200, ""},
		{"remove unknown", "remove?serviceName=nope", 200, ""},
		{"remove distributed", "remove?serviceName=nope&distribute=true", 200, "Distributed to all instances"},
		{"remove without name", "remove", 400, "serviceName"},
		{"remove what cannot be", "remove?serviceName=..%2Fx", 400, "serviceName"},
		{"reload", "reload", 200, ""},
		{"reload from a listener that is not", "reload?fromListener=true", 500, "LISTENER_ADDRESS"},
		{"initial reload", "successfulinitreload", 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := serve(t, apitest.New(), nil)
			got := get(t, base+dfp+tt.path)
			if got.status != tt.status {
				t.Fatalf("status %d, want %d: %s", got.status, tt.status, got.body)
			}
			if kind := got.header.Get("Content-Type"); kind != "application/json" {
				t.Errorf("content type %q", kind)
			}
			doc := got.json(t)
			if want := map[bool]string{true: "OK", false: "NOK"}[tt.status == 200]; doc["Status"] != want {
				t.Errorf("Status %v, want %s", doc["Status"], want)
			}
			if message, _ := doc["Message"].(string); !strings.Contains(message, tt.message) || (tt.message == "" && message != "") {
				t.Errorf("Message %q, want %q in it", message, tt.message)
			}
		})
	}
}

// Without the log nothing is durable: there is no position to wait for, and no claim is made.
func TestChangesWithoutTheLog(t *testing.T) {
	b := apitest.New()
	b.NoLog, b.WaitResult = true, &events.WaitResult{Missing: []string{"two"}}
	base := serve(t, b, nil)
	for _, s := range []struct{ name, method, path, body, outcome string }{
		{"a removal of what is not there", http.MethodDelete, "/never", "", api.OutcomeUnchanged},
		{"a change", http.MethodPut, "/go-demo", definition, api.OutcomeAccepted},
		{"a removal", http.MethodDelete, "/go-demo", "", api.OutcomeAccepted},
	} {
		got := call(t, s.method, base+"/v1/services"+s.path+"?wait=all", s.body)
		receipt, _ := got.json(t)["receipt"].(map[string]any)
		if got.status != http.StatusAccepted || receipt["outcome"] != s.outcome || receipt["seq"] != 0.0 || receipt["live"] != nil {
			t.Errorf("%s: %d %s", s.name, got.status, got.body)
		}
	}
	for query, message := range map[string]string{
		"remove?distribute=true&serviceName=never":        "Nothing to change as far as this instance knows",
		"reconfigure?distribute=true&" + goodQ:            "Accepted without the log",
		"remove?distribute=true&serviceName=go-demo":      "Accepted without the log",
		"remove?serviceName=never&timeout=20s&wait=local": "",
	} {
		if got := get(t, base+dfp+query); got.status != http.StatusOK || !strings.Contains(got.body, message) {
			t.Errorf("%s: %d %s, want %q", query, got.status, got.body, message)
		}
	}
	if waits := b.Waits(); len(waits) > 0 {
		t.Errorf("waited for %+v", waits)
	}
}

func TestErrorsOfAChange(t *testing.T) {
	refusal := refused{"servicePath", "unmatched ( in the expression"}
	missing := &events.WaitResult{Missing: []string{"two"}}
	ailing := &events.WaitResult{Missing: []string{"one", "two"}, Problems: map[string]string{"two": "its disk is full"}}
	quarantined := &events.WaitResult{Quarantined: map[string]events.Quarantined{"two": {Service: "go-demo", Reason: "no such file"}}}
	replaced := &events.WaitResult{Quarantined: map[string]events.Quarantined{"two": {Service: "go-demo", Reason: "no such file", Serving: "v1"}}}
	tests := []struct {
		name    string
		set     func(*apitest.Backend)
		dfp     int
		native  int
		message string
		outcome any
	}{
		{"not restored", func(b *apitest.Backend) { b.WriteErr = events.ErrNotReady }, 503, 503, "not restored", nil},
		{"no log", func(b *apitest.Backend) { b.WriteErr = events.ErrUnavailable }, 503, 503, "unavailable", nil},
		{"log full", func(b *apitest.Backend) { b.WriteErr = events.ErrRefused }, 503, 503, "refused", nil},
		{"clock", func(b *apitest.Backend) { b.WriteErr = events.ErrClock }, 503, 503, "clock", nil},
		{"too large", func(b *apitest.Backend) { b.WriteErr = events.ErrEvent }, 400, 400, "body: ", nil},
		{"no answer", func(b *apitest.Backend) { b.WriteErr = events.ErrUnknownOutcome }, 500, 504, "sent-1", "unknown"},
		{"lost condition", func(b *apitest.Backend) { b.WriteErr = events.ErrPrecondition }, 500, 412, "precondition", nil},
		{"not live", func(b *apitest.Backend) { b.WaitResult = missing }, 500, 504, "not live in time on two", "durable"},
		{"quarantined", func(b *apitest.Backend) { b.WaitResult = quarantined }, 500, 504, "two does not serve it: no such file; no version of it is served there", "durable"},
		{"quarantined, an earlier version serves", func(b *apitest.Backend) { b.WaitResult = replaced }, 500, 504, "no such file; version v1 is served instead", "durable"},
		{"not live, and why", func(b *apitest.Backend) { b.WaitResult = ailing }, 500, 504, "not live in time on one, two (its disk is full)", "durable"},
		{"waiting fails", func(b *apitest.Backend) { b.WaitErr = context.Canceled }, 500, 504, "durable at sequence 1", "durable"},
		{"waiting ends without a word", func(b *apitest.Backend) { b.WaitErr = context.DeadlineExceeded }, 500, 504, "not live in time", "durable"},
		{"HAProxy takes too long", func(b *apitest.Backend) { b.CheckErr = context.DeadlineExceeded }, 503, 503, "nothing was changed", nil},
		{"HAProxy refuses", func(b *apitest.Backend) { b.CheckErr = refusal }, 400, 400, "unmatched (", nil},
		{"anything else", func(b *apitest.Backend) { b.CheckErr = errors.New("disk full") }, 500, 500, "disk full", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := apitest.New()
			tt.set(b)
			base := serve(t, b, nil)
			old := get(t, base+dfp+"reconfigure?"+goodQ)
			if message, _ := old.json(t)["Message"].(string); old.status != tt.dfp || !strings.Contains(message, tt.message) {
				t.Errorf("reconfigure: %d %s, want %d with %q", old.status, old.body, tt.dfp, tt.message)
			}
			native := call(t, http.MethodPut, base+"/v1/services/go-demo?wait=all", `{"destinations":[{"port":8080,"servicePath":["/demo"]}]}`)
			doc := native.json(t)
			if detail, _ := doc["detail"].(string); native.status != tt.native || !strings.Contains(detail, tt.message) || doc["outcome"] != tt.outcome {
				t.Errorf("PUT: %d %s, want %d with %q and outcome %v", native.status, native.body, tt.native, tt.message, tt.outcome)
			}
			removal := get(t, base+dfp+"remove?serviceName=go-demo")
			if failed := tt.name != "HAProxy refuses" && tt.name != "HAProxy takes too long" && tt.name != "anything else"; failed != (removal.status != http.StatusOK) {
				t.Errorf("remove: %d %s", removal.status, removal.body)
			}
			if retry := native.header.Get("Retry-After") != ""; retry != (tt.native == 503) {
				t.Errorf("Retry-After given: %v", retry)
			}
		})
	}
}

type refused struct{ param, reason string }

func (r refused) Error() string             { return r.param + ": " + r.reason }
func (r refused) Refused() (string, string) { return r.param, r.reason }

func TestWhereAChangeIsWaitedFor(t *testing.T) {
	tests := []struct {
		name, query string
		want        []events.Wait
	}{
		{"this replica by default", "", []events.Wait{{Scope: events.WaitLocal, StreamID: "log-1", Seq: 1, Key: "service/go-demo"}}},
		{"distribute is all", "&distribute=true", []events.Wait{{Scope: events.WaitAll, StreamID: "log-1", Seq: 1, Key: "service/go-demo"}}},
		{"none", "&distribute=true&wait=none", nil},
		{"all", "&wait=all&timeout=1", []events.Wait{{Scope: events.WaitAll, StreamID: "log-1", Seq: 1, Key: "service/go-demo"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := apitest.New()
			get(t, serve(t, b, nil)+dfp+"reconfigure?"+goodQ+tt.query)
			if diff := cmp.Diff(tt.want, b.Waits()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnyMethodChangesButLookingDoesNot(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		b := apitest.New()
		if got := call(t, method, serve(t, b, nil)+dfp+"reconfigure?"+goodQ, ""); got.status != http.StatusOK || len(b.Entries("")) != 1 {
			t.Errorf("%s: %d", method, got.status)
		}
	}
	b := apitest.New()
	base := serve(t, b, nil)
	for method, want := range map[string]int{http.MethodHead: 405, http.MethodOptions: 204, http.MethodTrace: 405} {
		if got := call(t, method, base+dfp+"reconfigure?"+goodQ, ""); got.status != want || got.header.Get("Allow") == "" {
			t.Errorf("%s: %d, Allow %q", method, got.status, got.header.Get("Allow"))
		}
	}
	if n := len(b.Entries("")); n != 0 {
		t.Errorf("%d services after HEAD, OPTIONS and TRACE", n)
	}
	if got := call(t, http.MethodHead, base+dfp+"config", ""); got.status != http.StatusOK {
		t.Errorf("HEAD config: %d", got.status)
	}
}

func TestAFormBodyAddsToTheQuery(t *testing.T) {
	b := apitest.New()
	got := call(t, http.MethodPost, serve(t, b, nil)+dfp+"reconfigure?serviceName=go-demo", "serviceName=other&servicePath=%2Fdemo&port=8080",
		"Content-Type: application/x-www-form-urlencoded")
	if _, ok := b.Entry("service/go-demo"); got.status != http.StatusOK || !ok {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestSlashAtTheEndRedirects(t *testing.T) {
	got := get(t, serve(t, apitest.New(), nil)+dfp+"reconfigure/?"+goodQ)
	if want := dfp + "reconfigure?" + goodQ; got.status != http.StatusMovedPermanently || got.header.Get("Location") != want {
		t.Errorf("%d to %q, want %q", got.status, got.header.Get("Location"), want)
	}
}

func TestConfigAsTextAndJSON(t *testing.T) {
	base := serve(t, apitest.New(), nil)
	get(t, base+dfp+"reconfigure?"+goodQ)
	text := get(t, base+dfp+"config")
	if text.body != "frontend services\n" || text.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%q %q", text.header.Get("Content-Type"), text.body)
	}
	doc := get(t, base+dfp+"config?type=JSON").json(t)
	if svc, _ := doc["go-demo"].(map[string]any); svc["ServiceName"] != "go-demo" {
		t.Errorf("config as JSON: %v", doc)
	}
}

func TestReload(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, func(c *api.Config) { c.Listener = listener{} })
	get(t, base+dfp+"reload")
	get(t, base+dfp+"reload?recreate=true")
	if got := get(t, base+dfp+"reload?recreate=true&fromListener=1"); got.status != http.StatusOK {
		t.Errorf("from listener: %d %s", got.status, got.body)
	}
	if diff := cmp.Diff([]bool{false, true}, b.Reloads()); diff != "" {
		t.Error(diff)
	}
	failing := apitest.New()
	failing.ReloadErr = errors.New("refused")
	if got := get(t, serve(t, failing, nil)+dfp+"reload"); got.status != http.StatusInternalServerError || got.json(t)["Status"] != "NOK" {
		t.Errorf("failing reload: %d %s", got.status, got.body)
	}
}

type listener struct{}

func (listener) Notify(context.Context) error { return nil }

func TestServicesOfAnotherInstanceAreLeftAlone(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, func(c *api.Config) { c.FilterInstance = true })
	for _, q := range []string{goodQ, goodQ + "&proxyInstanceName=other"} {
		if got := get(t, base+dfp+"reconfigure?"+q); got.status != http.StatusOK || len(b.Entries("")) != 0 {
			t.Errorf("%s: %d, %d entries", q, got.status, len(b.Entries("")))
		}
	}
	get(t, base+dfp+"reconfigure?"+goodQ+"&proxyInstanceName=Docker-Flow")
	if e, _ := b.Entry("service/go-demo"); !e.Live() {
		t.Error("own service was not configured")
	}
	get(t, base+dfp+"reconfigure?serviceName=go-demo&replicas=0&proxyInstanceName=other")
	if e, _ := b.Entry("service/go-demo"); !e.Live() {
		t.Error("another instance's removal was obeyed")
	}
	get(t, base+dfp+"reconfigure?serviceName=go-demo&replicas=0&proxyInstanceName=docker-flow")
	if e, _ := b.Entry("service/go-demo"); e.Live() {
		t.Error("own removal was not obeyed")
	}
}

func TestHostsAreLookedUpWhereAskedFor(t *testing.T) {
	base := serve(t, apitest.New(), func(c *api.Config) {
		c.Lookup = func(context.Context, string) error { return errors.New("no such host") }
	})
	if got := get(t, base+dfp+"reconfigure?"+goodQ); got.status != http.StatusInternalServerError {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestWhatIsServedAlreadyIsNotTriedAgain(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil)
	for range 3 {
		get(t, base+dfp+"reconfigure?"+goodQ)
	}
	if b.Checks() != 1 {
		t.Errorf("%d checks by HAProxy, want 1", b.Checks())
	}
}

// A port of the replica's own is refused as taken, which the old listener does not try again; with
// anything else wrong, the definition is invalid.
func TestOwnPortIsTaken(t *testing.T) {
	b := apitest.New()
	cfg := config(b)
	cfg.Limits.OwnPorts = []service.OwnPort{{Port: 6222, Use: "mesh of the replicas"}}
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		"serviceName=a&reqMode=tcp&srcPort=6222&port=80":                409,
		"serviceName=a&reqMode=tcp&srcPort=6222&port=80&aclName=..%2Fx": 400,
		"serviceName=a&reqMode=tcp&srcPort=6223&port=80":                200,
		"serviceName=a&reqMode=tcp&srcPort=6222&port=nonsense&x=%zz":    400,
	} {
		if got := send(s.Handler(), local, "GET "+dfp+"reconfigure?"+query, nil); got.Code != want {
			t.Errorf("%s: %d, want %d: %s", query, got.Code, want, got.Body)
		}
	}
}

// TestRemovalByReplicas: the other values are read before anything is removed, and distribute is heard.
func TestRemovalByReplicas(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil) + dfp
	if got := get(t, base+"reconfigure?serviceName=n1&port=80&servicePath=/n1"); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	got := get(t, base+"reconfigure?serviceName=n1&replicas=0&port=abc&distribute=maybe&httpsOnly=nope")
	for _, param := range []string{"port", "distribute", "httpsOnly"} {
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, param) {
			t.Errorf("no %s in %d %s", param, got.status, got.body)
		}
	}
	if len(records(t, b)) != 1 {
		t.Errorf("%d events", len(records(t, b)))
	}
	got = get(t, base+"reconfigure?serviceName=n1&replicas=0&distribute=true")
	if doc := got.json(t); got.status != http.StatusOK || doc["Message"] != "Distributed to all instances" || doc["Distribute"] != true {
		t.Errorf("%d %s", got.status, got.body)
	}
}
