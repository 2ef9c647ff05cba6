package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

// invalid are values that a parameter of each type never has.
func invalid(p service.Parameter) []string {
	switch p.Type {
	case service.Bool:
		return []string{"maybe", "\x00"}
	case service.Number:
		return []string{"many", "-1", "1.5", "99999999999999999999"}
	case service.Headers:
		return []string{"X-A a\x00b", "X-A", "X-A b\nbackend evil", "X-A b if { env(HOME) x }", ","}
	case service.Matches:
		return []string{"X-A:b\x00", "X-A", "X-A:}", "X A:b", ","}
	case service.Rewrites:
		return []string{"/a", "/a,/b\n", "(,/b", "/a,/b,x"}
	case service.Secret:
		return []string{"\x00:\x00", "\xff"}
	case service.List:
		return []string{"a\nb", "/a,/b\x00", "\xff", ","}
	}
	return []string{"a\nb", "\x00", "\xff", strings.Repeat("a", 9000)}
}

// named is the parameter that an answer names: pairs of old ones have one successor.
func named(param string) string {
	if param == "reqPathSearch" || param == "reqPathReplace" {
		return "reqPathSearchReplace"
	}
	return param
}

// valid is a whole definition of which one parameter is replaced.
func valid(param, value string) url.Values {
	q := url.Values{"serviceName": {"go-demo"}, "servicePath": {"/demo"}, "port": {"8080"}, "serviceDomain": {"acme.com"}}
	if named(param) != param {
		q.Set("reqPathSearch", "/a")
		q.Set("reqPathReplace", "/b")
	}
	q.Set(param, value)
	return q
}

const form = "Content-Type: application/x-www-form-urlencoded"

// doors are the ways in for a definition.
func doors() map[string]func(t *testing.T, base string, q url.Values) answer {
	query := func(method string) func(*testing.T, string, url.Values) answer {
		return func(t *testing.T, base string, q url.Values) answer {
			return call(t, method, base+dfp+"reconfigure?"+q.Encode(), "")
		}
	}
	body := func(method, path string) func(*testing.T, string, url.Values) answer {
		return func(t *testing.T, base string, q url.Values) answer {
			return call(t, method, base+path, q.Encode(), form)
		}
	}
	return map[string]func(*testing.T, string, url.Values) answer{
		"GET reconfigure":              query(http.MethodGet),
		"PUT reconfigure":              query(http.MethodPut),
		"POST reconfigure":             query(http.MethodPost),
		"POST reconfigure with a form": body(http.MethodPost, dfp+"reconfigure"),
		"PUT reconfigure with a form":  body(http.MethodPut, dfp+"reconfigure"),
		"PUT service with a form":      body(http.MethodPut, "/v1/services/go-demo"),
	}
}

// state is everything that a refused request must leave alone.
func state(t testing.TB, b *apitest.Backend) string {
	t.Helper()
	records := 0
	if err := b.Records(t.Context(), events.Query{}, func(events.Record) error { records++; return nil }); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d records, reloads %v: %v", records, b.Reloads(), b.Entries(""))
}

// refuses checks that a is the refusal of param, with a remedy, and that nothing changed.
func refuses(t *testing.T, b *apitest.Backend, before, param string, a answer) {
	t.Helper()
	if a.status != http.StatusBadRequest {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	doc := a.json(t)
	text, _ := doc["Message"].(string)
	if text == "" {
		text, _ = doc["detail"].(string)
	}
	problem, remedy, _ := strings.Cut(strings.TrimPrefix(text, param+":"), ";")
	if remedy == "" {
		_, remedy, _ = strings.Cut(problem, ": ")
	}
	if !strings.Contains(text, param) || remedy == "" {
		t.Errorf("want %s and a remedy in %q", param, text)
	}
	if after := state(t, b); after != before {
		t.Errorf("it changed something: %s", after)
	}
}

// TestInvalidParameterAtEveryDoor: each parameter, at each way in for a definition.
func TestInvalidParameterAtEveryDoor(t *testing.T) {
	for door, enter := range doors() {
		t.Run(door, func(t *testing.T) {
			b := apitest.New()
			base := serve(t, b, func(c *api.Config) { c.Key = clusterKey(t) })
			if a := enter(t, base, valid("port", "8080")); a.status != http.StatusOK {
				t.Fatalf("a valid definition: %d %s", a.status, a.body)
			}
			before := state(t, b)
			for _, p := range service.Parameters() {
				if p.Name == "serviceName" && strings.HasPrefix(door, "PUT service") {
					continue // the path has the name
				}
				for _, value := range invalid(p) {
					t.Run(fmt.Sprintf("%s=%.20q", p.Name, value), func(t *testing.T) {
						refuses(t, b, before, named(p.Name), enter(t, base, valid(p.Name, value)))
					})
				}
			}
		})
	}
}

// TestInvalidIndexedParameter: the refusal names the index, or the plain value that no
// index takes.
func TestInvalidIndexedParameter(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil)
	before := state(t, b)
	for _, p := range service.Parameters() {
		if p.Level != service.DestinationLevel {
			continue
		}
		for _, index := range []string{"", ".1", ".2"} {
			q := url.Values{"serviceName": {"go-demo"}, "servicePath.1": {"/a"}, "port.1": {"80"}, "servicePath.2": {"/b"}, "port.2": {"81"}}
			q.Set(p.Name+index, invalid(p)[0])
			refuses(t, b, before, p.Name+index, get(t, base+dfp+"reconfigure?"+q.Encode()))
		}
	}
}

// TestInvalidMemberOfADocument: the same for the members of a JSON definition.
func TestInvalidMemberOfADocument(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, func(c *api.Config) { c.Key = clusterKey(t) })
	before := state(t, b)
	members := 0
	for _, p := range service.Parameters() {
		if p.Deprecated || p.Name == "distribute" {
			continue // no members
		}
		members++
		for _, value := range invalidMembers(p) {
			one := map[string]any{"port": 8080, "servicePath": []string{"/demo"}, "serviceDomain": []string{"acme.com"}}
			all := map[string]any{"destinations": []any{one}}
			if p.Level == service.DestinationLevel {
				one[p.Name] = value
			} else {
				all[p.Name] = value
			}
			body, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(fmt.Sprintf("%s=%.40v", p.Name, value), func(t *testing.T) {
				refuses(t, b, before, p.Name, call(t, http.MethodPut, base+"/v1/services/go-demo", string(body), "Content-Type: application/json"))
			})
		}
	}
	if members < 50 {
		t.Errorf("only %d members", members)
	}
}

func invalidMembers(p service.Parameter) []any {
	switch p.Type {
	case service.Bool:
		return []any{"true", 1, []any{}}
	case service.Number:
		return []any{"80", -1, 1.5, 1 << 40}
	case service.List:
		return []any{"a", []any{"a\nb"}, []any{1}}
	case service.Headers:
		return []any{"X-A b", []any{map[string]any{"name": "X-A"}}, []any{map[string]any{"name": "X-A", "value": "a\nb"}},
			[]any{map[string]any{"name": "X-A", "value": "a", "condition": "if { env(HOME) x }"}}, []any{map[string]any{"name": "X A", "value": "b"}}}
	case service.Matches:
		return []any{"X-A:b", []any{map[string]any{"name": "X-A"}}, []any{map[string]any{"name": "X-A", "value": "}"}}}
	case service.Rewrites:
		return []any{"/a,/b", []any{map[string]any{"search": "(", "replace": "b"}}, []any{map[string]any{"search": "a", "replace": "b", "flags": "x"}}}
	case service.Secret:
		return []any{7, []any{map[string]any{"name": "\x00"}}}
	}
	return []any{7, "a\nb", "\x00"}
}

// TestInvalidValueAtEveryRoute: routes that take something else than a definition.
func TestInvalidValueAtEveryRoute(t *testing.T) {
	for _, c := range []struct{ method, path, param string }{
		{"GET", dfp + "remove?serviceName=a%20b", "serviceName"}, {"POST", dfp + "remove?serviceName=..", "serviceName"}, {"GET", dfp + "remove", "serviceName"},
		{"GET", dfp + "remove?serviceName=go-demo&aclName=../x", "aclName"}, {"GET", dfp + "remove?serviceName=go-demo&distribute=maybe", "distribute"},
		{"GET", dfp + "remove?serviceName=go-demo&wait=some", "wait"}, {"GET", dfp + "remove?serviceName=go-demo&timeout=never", "timeout"},
		{"GET", dfp + "reconfigure?" + goodQ + "&wait=some", "wait"}, {"GET", dfp + "reconfigure?" + goodQ + "&timeout=0", "timeout"}, {"GET", dfp + "reconfigure?x=%zz", "query"},
		{"GET", dfp + "reload?recreate=maybe", "recreate"}, {"GET", dfp + "reload?fromListener=yes", "fromListener"}, {"PUT", dfp + "reload?recreate=2", "recreate"},
		{"GET", dfp + "config?type=xml", "type"}, {"GET", dfp + "config?type=%zz", "query"},
		{"PUT", dfp + "cert", "certName"}, {"PUT", dfp + "cert?certName=../x", "certName"}, {"PUT", dfp + "cert?certName=a%0Ab", "certName"},
		{"PUT", dfp + "cert?certName=x&distribute=maybe", "distribute"}, {"PUT", dfp + "cert?certName=x&wait=some", "wait"}, {"PUT", dfp + "cert?certName=x", "body"},
		{"DELETE", dfp + "cert?certName=..", "certName"}, {"DELETE", dfp + "cert?certName=x&distribute=maybe", "distribute"},
		{"PUT", "/v1/services/go-demo?wait=some", "wait"}, {"PUT", "/v1/services/go-demo?timeout=never", "timeout"}, {"PUT", "/v1/services/a%20b", "serviceName"}, {"PUT", "/v1/services/go-demo", "body"},
		{"DELETE", "/v1/services/a%20b", "serviceName"}, {"DELETE", "/v1/services/go-demo?wait=some", "wait"},
		{"GET", "/v1/events?after=x", "after"}, {"GET", "/v1/events?service=..", "serviceName"}, {"GET", "/v1/events?follow=maybe", "follow"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			b := apitest.New()
			base := serve(t, b, func(c *api.Config) { c.Key, c.Listener = clusterKey(t), listener{} })
			if a := get(t, base+dfp+"reconfigure?"+goodQ); a.status != http.StatusOK {
				t.Fatal(a.body)
			}
			before := state(t, b)
			refuses(t, b, before, c.param, call(t, c.method, base+c.path, "garbage"))
		})
	}
}

// TestInvalidParameterOfAListener: what a Swarm listener answers passes the same door.
func TestInvalidParameterOfAListener(t *testing.T) {
	b := apitest.New()
	cfg := config(b)
	cfg.Key = clusterKey(t)
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := state(t, b)
	for _, p := range service.Parameters() {
		for _, value := range invalid(p) {
			wrote, err := s.Announce(t.Context(), valid(p.Name, value), always(true))
			if wrote || !errors.Is(err, api.ErrNotTaken) || !strings.Contains(err.Error(), named(p.Name)) || !strings.Contains(err.Error(), "; ") {
				t.Errorf("%s=%.20q: wrote %v, %v", p.Name, value, wrote, err)
			}
		}
	}
	if after := state(t, b); after != before {
		t.Errorf("it changed something: %s", after)
	}
}

// TestRefusedByHAProxyAtEveryDoor: what only HAProxy can judge is refused in the same way.
func TestRefusedByHAProxyAtEveryDoor(t *testing.T) {
	b := apitest.New()
	b.CheckErr = fmt.Errorf("check: %w", refused{"servicePath", "unmatched ( in the expression"})
	base := serve(t, b, nil)
	before := state(t, b)
	for door, enter := range doors() {
		t.Run(door, func(t *testing.T) {
			refuses(t, b, before, "servicePath", enter(t, base, valid("pathType", "path_reg")))
		})
	}
}
