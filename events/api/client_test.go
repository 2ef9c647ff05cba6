package api_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

func newClient(t testing.TB, cfg api.ClientConfig) *api.Client {
	t.Helper()
	c, err := api.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientRoundTrip(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, func(c *api.Config) { c.Tokens = tokens(t) })
	c := newClient(t, api.ClientConfig{Base: base + "/", Token: writeToken, Origin: "cli"})
	ctx := t.Context()
	params := url.Values{"servicePath": {"/demo"}, "port": {"8080"}}
	changed, err := c.Reconfigure(ctx, "go-demo", params, api.Options{Wait: events.WaitAll, Timeout: time.Second})
	if err != nil || changed.Receipt.Live != "all" {
		t.Fatalf("reconfigure: %+v %v", changed.Receipt, err)
	}
	item, err := c.Service(ctx, "go-demo")
	if err != nil || item.Stamp != changed.Receipt.Stamp {
		t.Errorf("service: %+v %v", item, err)
	}
	if _, err := c.Put(ctx, "go-demo", []byte(definition), api.Options{IfMatch: item.Stamp}); err != nil {
		t.Errorf("put: %v", err)
	}
	if _, err := c.Put(ctx, "go-demo", []byte(definition), api.Options{IfMatch: "0000000000000001-8000000000000001"}); status(err) != http.StatusPreconditionFailed {
		t.Errorf("put another version: %v", err)
	}
	items, err := c.Services(ctx)
	if err != nil || len(items) != 1 || items[0].Name != "go-demo" {
		t.Errorf("services: %+v %v", items, err)
	}
	replicas, err := c.Replicas(ctx)
	if err != nil || len(replicas) != 1 || replicas[0].Name != "one" {
		t.Errorf("replicas: %+v %v", replicas, err)
	}
	if err := c.Health(ctx); err != nil {
		t.Errorf("health: %v", err)
	}
	if _, err := c.Remove(ctx, "go-demo", api.Options{IfMatch: "*"}); err != nil {
		t.Errorf("remove: %v", err)
	}
	var seen []string
	err = c.Events(ctx, events.Query{Key: "service/go-demo"}, func(r events.Record) error {
		seen = append(seen, r.Action+" "+r.Actor+" "+r.Origin)
		return nil
	})
	if diff := cmp.Diff([]string{"put ci cli", "put ci cli", "removed ci cli"}, seen); err != nil || diff != "" {
		t.Errorf("events: %v %s", err, diff)
	}
}

func status(err error) int {
	var p *api.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

func TestClientErrors(t *testing.T) {
	base := serve(t, apitest.New(), func(c *api.Config) { c.Tokens = tokens(t) })
	stranger := newClient(t, api.ClientConfig{Base: base, Token: "not-known-at-all"})
	if _, err := stranger.Services(t.Context()); status(err) != http.StatusUnauthorized {
		t.Errorf("unknown token: %v", err)
	}
	c := newClient(t, api.ClientConfig{Base: base, Token: writeToken})
	_, err := c.Reconfigure(t.Context(), "go-demo", url.Values{"servicePath": {"no slash"}, "port": {"x"}}, api.Options{})
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != http.StatusBadRequest || len(p.Errors) < 2 {
		t.Errorf("two problems: %v", err)
	}
	var fields service.Errors
	if _, err := c.Remove(t.Context(), "../replicas", api.Options{}); !errors.As(err, &fields) {
		t.Errorf("a name that leaves the path: %v", err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if err := newClient(t, api.ClientConfig{Base: other.URL}).Health(t.Context()); status(err) != http.StatusNotFound {
		t.Errorf("another program: %v", err)
	}
}

func TestClientAddress(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:8080", "ftp://a", "http://", "http://u:p@a"} {
		if _, err := api.NewClient(api.ClientConfig{Base: base}); err == nil {
			t.Errorf("%q is taken", base)
		}
	}
}

func TestClientDoesNotCarryTheTokenElsewhere(t *testing.T) {
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	err := newClient(t, api.ClientConfig{Base: redirecting.URL, Token: writeToken}).Health(t.Context())
	if status(err) != http.StatusTemporaryRedirect || reached {
		t.Errorf("redirect: %v, followed: %v", err, reached)
	}
}
