package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOneNode: what the README shows first, on one node with the log inside.
func TestOneNode(t *testing.T) {
	r := startReplica(t, "local")
	port := startBackend(t, "one")

	t.Run("a reconfigure is answered when it is live", func(t *testing.T) {
		a := mustStatus(t, r.dfp("reconfigure", demo("go-demo", port)), http.StatusOK)
		if err := r.routed("/go-demo/hello", "one"); err != nil {
			t.Error(err)
		}
		var body struct{ Status, ServiceName string }
		if err := json.Unmarshal([]byte(a.Body), &body); err != nil || body.Status != "OK" || body.ServiceName != "go-demo" {
			t.Errorf("answer %v: %v", a, err)
		}
	})
	t.Run("the state can be read back", func(t *testing.T) {
		if a := mustStatus(t, get(t, r.url("/v1/services")), http.StatusOK); !strings.Contains(a.Body, `"go-demo"`) {
			t.Errorf("/v1/services: %v", a)
		}
		if a := mustStatus(t, r.dfp("config", nil), http.StatusOK); !strings.Contains(a.Body, "backend go-demo-be") {
			t.Errorf("config has no backend of go-demo: %v", a)
		}
		a := r.dfp("config", url.Values{"type": {"json"}})
		if _, ok := decode[map[string]any](t, a)["go-demo"]; !ok {
			t.Errorf("config as JSON: %v", a)
		}
	})
	t.Run("health, readiness and metrics answer", func(t *testing.T) {
		paths := []string{"/healthz", "/readyz", "/metrics", "/v1/docker-flow-proxy/ping", "/v1/docker-flow-proxy/successfulinitreload"}
		for _, path := range paths {
			if err := expectStatus(get(t, r.url(path)), http.StatusOK); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
	t.Run("an unknown path is 503", func(t *testing.T) {
		mustStatus(t, r.request("/nowhere"), http.StatusServiceUnavailable)
	})
	t.Run("a label set without path and domain is 409", func(t *testing.T) {
		mustStatus(t, r.dfp("reconfigure", url.Values{"serviceName": {"x"}, "port": {"80"}}), http.StatusConflict)
	})
	t.Run("reload keeps the routes", func(t *testing.T) {
		mustStatus(t, r.dfp("reload", url.Values{"recreate": {"true"}}), http.StatusOK)
		if err := r.routed("/go-demo/hello", "one"); err != nil {
			t.Error(err)
		}
	})
	t.Run("a removed service is gone at once", func(t *testing.T) {
		r.remove(t, "go-demo")
		mustStatus(t, r.request("/go-demo/hello"), http.StatusServiceUnavailable)
	})
}

func TestNativeAPI(t *testing.T) {
	r := startReplica(t, "local")
	port := startBackend(t, "one")
	r.reconfigure(t, "web", port)
	url := r.url("/v1/services/web")

	read := mustStatus(t, get(t, url), http.StatusOK)
	tag := read.Header.Get("ETag")
	if tag == "" {
		t.Fatal("a definition has no ETag")
	}
	moved := strings.Replace(read.Body, `"/web"`, `"/moved"`, 1)
	if moved == read.Body {
		t.Fatalf("no path in the definition: %v", read)
	}
	put := func(tag string) answer {
		return send(t.Context(), http.MethodPut, url+"?wait=local&timeout=1m", moved, "Content-Type: application/json", "If-Match: "+tag)
	}
	mustStatus(t, put(tag), http.StatusOK)
	if err := r.routed("/moved", "one"); err != nil {
		t.Error(err)
	}
	mustStatus(t, put(tag), http.StatusPreconditionFailed) // somebody else was faster
	mustStatus(t, send(t.Context(), http.MethodDelete, url+"?wait=local&timeout=1m", ""), http.StatusOK)
	mustStatus(t, get(t, url), http.StatusNotFound)
	mustStatus(t, r.request("/moved"), http.StatusServiceUnavailable)
}

// TestRestartKeepsState: the log of an all-in-one node is in its data directory.
func TestRestartKeepsState(t *testing.T) {
	r := startReplica(t, "local")
	port := startBackend(t, "one")
	for _, name := range []string{"a", "b", "c"} {
		r.reconfigure(t, name, port)
	}
	r.remove(t, "b")
	before, err := r.own()
	if err != nil {
		t.Fatal(err)
	}
	check := func(how string) {
		t.Helper()
		r.start(t).ready(t, 2*patience)
		for _, path := range []string{"/a", "/c"} { // the first request after ready
			if err := r.routed(path, "one"); err != nil {
				t.Errorf("after %s: %v", how, err)
			}
		}
		mustStatus(t, r.request("/b"), http.StatusServiceUnavailable)
		eventually(t, patience, "the same state after "+how, func() error {
			after, err := r.own()
			if err == nil && (after.Digest != before.Digest || after.StreamID != before.StreamID) {
				err = fmt.Errorf("%+v, before: %+v", after, before)
			}
			return err
		})
	}
	if code := r.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	check("SIGTERM")
	r.kill()
	check("kill -9")
}

// TestStopIsGraceful: after SIGTERM the node is not ready, but serves for a while.
func TestStopIsGraceful(t *testing.T) {
	r := startReplica(t, "local")
	r.reconfigure(t, "web", startBackend(t, "one"))
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Second, "not ready", func() error {
		return expectStatus(get(t, r.url("/readyz")), http.StatusServiceUnavailable)
	})
	if err := r.routed("/web", "one"); err != nil {
		t.Errorf("while stopping: %v", err)
	}
	if code := r.exitCode(t, patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left := r.descendants("haproxy"); len(left) > 0 {
		t.Errorf("HAProxy still runs: %v", left)
	}
}

// TestKilledHAProxyComesBack: the routes are there again without anybody's help.
func TestKilledHAProxyComesBack(t *testing.T) {
	r := startReplica(t, "local")
	r.reconfigure(t, "web", startBackend(t, "one"))
	victims := r.descendants("haproxy")
	if len(victims) == 0 {
		t.Fatal("no HAProxy below sluice")
	}
	for _, pid := range victims {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
	eventually(t, patience, "routed again", func() error { return r.routed("/web", "one") })
	eventually(t, patience, "ready again", func() error {
		return expectStatus(get(t, r.url("/readyz")), http.StatusOK)
	})
	r.reconfigure(t, "other", startBackend(t, "two"))
	if err := r.routed("/other", "two"); err != nil {
		t.Error(err)
	}
}
