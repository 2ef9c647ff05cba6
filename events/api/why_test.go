package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

// explained is an Explainer with one answer, which remembers the last question.
type explained struct {
	routing api.Routing
	err     error
	asked   api.Probe
}

func (e *explained) Explain(_ context.Context, p api.Probe) (api.Routing, error) {
	e.asked = p
	out := e.routing
	out.Request = p
	return out, e.err
}

// askWhy answers a question about http://acme.com/.
func askWhy(t testing.TB, base string) api.Explanation {
	t.Helper()
	got := get(t, base+"/v1/why?url=http://acme.com/")
	var out api.Explanation
	if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status != http.StatusOK {
		t.Fatalf("%d %s: %v", got.status, got.body, err)
	}
	return out
}

func TestWhyReadsTheRequest(t *testing.T) {
	e := &explained{}
	base := serve(t, apitest.New(), func(c *api.Config) { c.Explainer = e })
	none := http.Header{}
	for name, c := range map[string]struct {
		query url.Values
		want  api.Probe
	}{
		"a plain one":           {url.Values{"url": {"http://acme.com"}}, api.Probe{Method: "GET", Host: "acme.com", Path: "/", Header: none}},
		"TLS, port, query":      {url.Values{"url": {"https://Acme.com:8443/a%20b/c d?x=1#y"}}, api.Probe{Method: "GET", TLS: true, Port: 8443, Host: "Acme.com:8443", Path: "/a%20b/c%20d", Query: "x=1", Header: none}},
		"the scheme's own port": {url.Values{"url": {"https://acme.com:443/"}}, api.Probe{Method: "GET", TLS: true, Port: 443, Host: "acme.com", Path: "/", Header: none}},
		"an address":            {url.Values{"url": {"http://[::1]:81/x"}}, api.Probe{Method: "GET", Port: 81, Host: "[::1]:81", Path: "/x", Header: none}},
		"method and headers": {
			url.Values{"url": {"http://acme.com/"}, "method": {"POST"}, "header": {"user-agent: a:b, c", "X-A:1", "x-a: 2", "Host: other.com"}},
			api.Probe{Method: "POST", Host: "other.com", Path: "/", Header: http.Header{"User-Agent": {"a:b, c"}, "X-A": {"1", "2"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := get(t, base+"/v1/why?"+c.query.Encode()); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if diff := cmp.Diff(c.want, e.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhyRefusesWhatNoClientSends(t *testing.T) {
	base := serve(t, apitest.New(), func(c *api.Config) { c.Explainer = &explained{} })
	for query, want := range map[string]string{
		"":                                      "url: is missing",
		"url=acme.com/demo":                     "url: begins with neither",
		"url=ftp://acme.com/":                   "url: begins with neither",
		"url=http:///demo":                      "url: has no host",
		"url=http://a%20b/":                     "url: is not a URL",
		"url=http://acme.com:x/":                "url: is not a URL",
		"url=http://acme.com:70000/":            "url: has a port",
		"url=http://ann:secret@acme.com/":       "url: holds a user or a password",
		"url=http://%C3%A9.com/":                "url: has a host with characters",
		"url=http://a/&method=G+T":              "method: is not a method",
		"url=http://a/&header=nothing":          "header: is not a header",
		"url=http://a/&header=X-A:+a%0d%0aB:+c": "header: has a value with a control character",
		"url=http://a/&at=12":                   "at: is not available",
		"url=%zz":                               "query: ",
	} {
		got := get(t, base+"/v1/why?"+query)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, want) || strings.Contains(got.body, "secret") {
			t.Errorf("%s: %d %s, want %q", query, got.status, got.body, want)
		}
		if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("%s: %s", query, kind)
		}
	}
	if got := call(t, http.MethodPost, base+"/v1/why?url=http://a/", ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.status)
	}
}

func TestWhyFindsTheEvent(t *testing.T) {
	b := apitest.New()
	e := &explained{}
	base := serve(t, b, func(c *api.Config) {
		c.Explainer = e
		c.Local = map[string]service.Service{"local": {Name: "local"}}
	})
	get(t, base+dfp+"reconfigure?"+goodQ)
	first, _ := b.Entry("service/go-demo")
	get(t, base+dfp+"reconfigure?"+goodQ+"&httpsOnly=true")
	second, _ := b.Entry("service/go-demo")
	for name, c := range map[string]struct {
		service, version string
		value            []byte
		want             string
		note             string
	}{
		"by its stamp":                     {"go-demo", first.Stamp.String(), first.Value, "1 api " + first.Stamp.String(), ""},
		"the newest":                       {"go-demo", second.Stamp.String(), second.Value, "2 api " + second.Stamp.String(), ""},
		"one without a stamp of its own":   {"go-demo", "earlier-0123", first.Value, "1 api " + first.Stamp.String(), ""},
		"one that is not in the log":       {"go-demo", "0000000000000001-8000000000000001", nil, "0  0000000000000001-8000000000000001", "the log does not hold"},
		"of the environment":               {"local", "environment-0123", nil, "0 environment ", ""},
		"the log's, with a name like that": {"go-demo", "environment-0123", second.Value, "2 api " + second.Stamp.String(), ""},
		"without a service":                {"", "", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e.routing = api.Routing{Rule: api.Rule{Kind: "prefix", Service: c.service}, Version: c.version, Value: c.value}
			out := askWhy(t, base)
			got := ""
			if out.Event != nil {
				got = fmt.Sprintf("%d %s %s", out.Event.Seq, out.Event.Origin, out.Event.Stamp)
			}
			if notes := strings.Join(out.Notes, "; "); got != c.want || !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
				t.Errorf("got %q, notes %q; want %q, %q", got, notes, c.want, c.note)
			}
		})
	}
}

func TestWhyWithoutTheLogStillAnswers(t *testing.T) {
	b := apitest.New()
	b.HistoryErr = events.ErrUnavailable
	base := serve(t, b, func(c *api.Config) {
		c.Explainer = &explained{routing: api.Routing{Rule: api.Rule{Kind: "prefix", Service: "x"}, Version: "0000000000010000-8000000000000001"}}
	})
	out := askWhy(t, base)
	if out.Rule.Service != "x" || out.Event == nil || out.Event.Time.UnixMilli() != 1 || !strings.Contains(strings.Join(out.Notes, ""), "cannot be looked up") {
		t.Errorf("got %+v, event %+v", out, out.Event)
	}
}

func TestWhyTellsOfAQuarantine(t *testing.T) {
	b := apitest.New()
	refused := events.Quarantined{Service: "x", Version: "v2", Reason: "no such file", Serving: "v1"}
	b.SetStatus(events.Status{Quarantine: []events.Quarantined{{Service: "w"}, refused}})
	e := &explained{routing: api.Routing{Rule: api.Rule{Kind: "prefix", Service: "x"}, Version: "v1"}}
	base := serve(t, b, func(c *api.Config) { c.Explainer = e })
	if out := askWhy(t, base); out.Quarantine == nil || *out.Quarantine != refused {
		t.Errorf("got %+v", out.Quarantine)
	}
	e.routing = api.Routing{Rule: api.Rule{Kind: api.RuleNone}, Status: 503}
	if out := askWhy(t, base); out.Quarantine != nil || out.Event != nil {
		t.Errorf("without a service: %+v %+v", out.Quarantine, out.Event)
	}
}

func TestWhyListsABoundedNumberOfRules(t *testing.T) {
	base := serve(t, apitest.New(), func(c *api.Config) {
		c.Explainer = &explained{routing: api.Routing{Rule: api.Rule{Kind: api.RuleNone}, Shadowed: make([]api.Rule, 103)}}
	})
	if out := askWhy(t, base); len(out.Shadowed) != 100 || out.MoreShadowed != 3 {
		t.Errorf("%d and %d more", len(out.Shadowed), out.MoreShadowed)
	}
}

func TestWhyBeforeAnythingIsServed(t *testing.T) {
	for name, change := range map[string]func(*api.Config){
		"not ready": func(c *api.Config) { c.Explainer = &explained{err: fmt.Errorf("%w: no load yet", events.ErrNotReady)} },
		"no proxy":  nil,
	} {
		got := get(t, serve(t, apitest.New(), change)+"/v1/why?url=http://acme.com/")
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}
