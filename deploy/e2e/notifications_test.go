package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// notification is the query that Docker Flow Swarm Listener sends for a service: every label
// below com.df. as it stands, whether the proxy knows it or not, and its own additions.
func notification(name string, labels map[string]string) url.Values {
	q := url.Values{"serviceName": {name}, "distribute": {"true"}}
	for label, value := range labels {
		q.Set(label, value)
	}
	return q
}

// created adds what it sends only when a service is there.
func created(name string, labels map[string]string) url.Values {
	q := notification(name, labels)
	q.Set("replicas", "2")
	q.Set("nodeInfo", `[["node-1","10.0.9.3","nrbz"],["node-2","10.0.9.4","ksq1"]]`)
	return q
}

// TestListenerNotifications: an unchanged listener, which knows two URLs with a password in
// them, asks by GET, takes 200 and 409 for success and everything else for a reason to repeat.
func TestListenerNotifications(t *testing.T) {
	r := startReplica(t, "local", "--tokens-file", tokensFile(t))
	port := startBackend(t, "one")
	notify := func(endpoint string, q url.Values) answer {
		return get(t, fmt.Sprintf("http://listener:%s@%s/v1/docker-flow-proxy/%s?%s&timeout=%s", writeToken, loopback(r.api), endpoint, q.Encode(), patience))
	}
	labels := map[string]string{
		"servicePath.1": "/go-demo", "servicePath.2": "/api", "port.1": strconv.Itoa(port), "port": strconv.Itoa(port),
		"outboundHostname": "127.0.0.1",
		"scrapeNetwork":    "proxy", "notifyService": "proxy", "usersTeam": "edge", // nothing to the proxy
	}

	created200 := func(t *testing.T) {
		a := mustStatus(t, notify("reconfigure", created("stack_go-demo", labels)), http.StatusOK)
		if !strings.Contains(a.Body, `"Status":"OK"`) {
			t.Errorf("answer %v", a)
		}
	}
	t.Run("a created service is routed, by both its paths", func(t *testing.T) {
		created200(t)
		for _, path := range []string{"/go-demo/hello", "/api/x"} {
			eventually(t, patience, path, func() error {
				return r.routed(path, "one")
			})
		}
	})
	count := func() int {
		a := mustStatus(t, get(t, r.url("/v1/events"), "Authorization: Bearer "+readToken), http.StatusOK)
		return strings.Count(a.Body, "\n")
	}
	t.Run("what is announced again makes no event", func(t *testing.T) {
		before := count()
		for range 5 {
			created200(t)
		}
		if now := count(); now != before {
			t.Errorf("%d events, %d before", now, before)
		}
	})
	t.Run("a service without a path is 409: nothing to repeat", func(t *testing.T) {
		mustStatus(t, notify("reconfigure", created("incomplete", map[string]string{"port": "80"})), http.StatusConflict)
	})
	t.Run("no replicas are a removal", func(t *testing.T) {
		q := created("stack_go-demo", labels)
		q.Set("replicas", "0")
		mustStatus(t, notify("reconfigure", q), http.StatusOK)
		if err := expectStatus(r.request("/go-demo/hello"), http.StatusServiceUnavailable); err != nil {
			t.Error(err)
		}
	})
	t.Run("a removed service, told with all its labels", func(t *testing.T) {
		created200(t)
		mustStatus(t, notify("remove", notification("stack_go-demo", labels)), http.StatusOK)
		mustStatus(t, notify("remove", notification("stack_go-demo", labels)), http.StatusOK)
		if err := expectStatus(r.request("/go-demo/hello"), http.StatusServiceUnavailable); err != nil {
			t.Error(err)
		}
	})
	if strings.Contains(r.output(), writeToken) {
		t.Error("the listener's password is in the log output")
	}
}
