package node

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"sluice/crdt/service"
	"sluice/events/api"
	"sluice/events/swarm"
)

// TestStrangersAmongTheReplicas: what else answers to the name is passed over, and never sees
// the token.
func TestStrangersAmongTheReplicas(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	var shown atomic.Int64
	stranger := func(status int, body string) *api.Client {
		s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				shown.Add(1)
			}
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, body)
		}))
		t.Cleanup(s.Close)
		return client(t, s.URL)
	}
	var broken atomic.Bool // a proxy in between answers for the replica
	between := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(rw, "no such page", http.StatusNotFound)
			return
		}
		w.server.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(between.Close)
	list := []*api.Client{stranger(http.StatusNotFound, ""), stranger(http.StatusOK, "{}"), stranger(http.StatusUnauthorized, "{}"), client(t, between.URL), client(t, w.url)}
	a := WatchAPI{Clients: func(context.Context) ([]*api.Client, error) { return list, nil }}
	src := service.Source{Kind: service.SwarmSource, Cluster: "c", ID: "1", Labels: "x"}
	for i, name := range []string{"one", "two"} {
		params := url.Values{"serviceName": {name}, "servicePath": {"/" + name}, "port": {"1"}}
		if changed, err := a.Announce(t.Context(), params, src, ""); !changed || err != nil {
			t.Fatalf("announce %s: %v, %v", name, changed, err)
		}
		if all, err := a.Services(t.Context()); err != nil || len(all) != i+1 {
			t.Fatalf("services: %v, %v", all, err)
		}
		broken.Store(true)
	}
	list = list[:4]
	if _, err := a.Announce(t.Context(), url.Values{"serviceName": {"three"}}, src, ""); err == nil || errors.Is(err, swarm.ErrRefused) {
		t.Errorf("no replica: %v", err)
	}
	if n := shown.Load(); n != 0 {
		t.Errorf("the token was shown %d times", n)
	}
}

func client(t *testing.T, base string) *api.Client {
	t.Helper()
	c, err := api.NewClient(api.ClientConfig{Base: base, Token: "a token that nobody else may see", Origin: api.OriginSwarm})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
