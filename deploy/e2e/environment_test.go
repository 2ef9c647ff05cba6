package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestServicesOfTheEnvironment: they are served below those of the log.
func TestServicesOfTheEnvironment(t *testing.T) {
	r := newReplica(t, "local")
	one, two, three := startBackend(t, "one"), startBackend(t, "two"), startBackend(t, "three")
	r.env = append(r.env,
		"DFP_SERVICE_SERVICE_NAME=plain", "DFP_SERVICE_OUTBOUND_HOSTNAME=127.0.0.1", "DFP_SERVICE_REPLICAS=0",
		"DFP_SERVICE_SERVICE_PATH_1=/a", fmt.Sprintf("DFP_SERVICE_PORT_1=%d", one),
		"DFP_SERVICE_SERVICE_PATH_2=/b", fmt.Sprintf("DFP_SERVICE_PORT_2=%d", two),
		"DFP_SERVICE_1_SERVICE_NAME=first", "DFP_SERVICE_1_SERVICE_PATH=/first", fmt.Sprintf("DFP_SERVICE_1_PORT=%d", one),
		"DFP_SERVICE_1_OUTBOUND_HOSTNAME=127.0.0.1", "DFP_SERVICE_1_ODD=1",
	)
	r.start(t).ready(t, 2*patience)
	for path, backend := range map[string]string{"/a": "one", "/b": "two", "/first": "one"} {
		if err := r.routed(path, backend); err != nil {
			t.Error(err)
		}
	}
	says(t, r.output(), "DFP_SERVICE_1_ODD has no effect")

	first := url.Values{"serviceName": {"first"}}
	a := mustStatus(t, r.dfp("remove", first), http.StatusConflict)
	says(t, a.Body, "DFP_SERVICE_", "first")
	mustStatus(t, send(t.Context(), http.MethodDelete, r.url("/v1/services/first"), ""), http.StatusConflict)
	if err := r.routed("/first", "one"); err != nil {
		t.Errorf("after a refused removal: %v", err)
	}

	mustStatus(t, r.dfp("reconfigure", demo("first", three)), http.StatusOK)
	if err := r.routed("/first", "three"); err != nil {
		t.Errorf("the log wins: %v", err)
	}
	mustStatus(t, r.dfp("remove", first), http.StatusOK)
	if err := r.routed("/first", "one"); err != nil {
		t.Errorf("what replaced it is removed: %v", err)
	}
	a = mustStatus(t, r.dfp("config", url.Values{"type": {"json"}}), http.StatusOK)
	says(t, a.Body, `"plain"`, `"first"`)
}

// TestBadServicesOfTheEnvironment: each problem names its variable, all at once.
func TestBadServicesOfTheEnvironment(t *testing.T) {
	r := newReplica(t, "local")
	r.env = append(r.env,
		"DFP_SERVICE_1_SERVICE_NAME=one", "DFP_SERVICE_1_SERVICE_PATH=/one", "DFP_SERVICE_1_PORT=many",
		"DFP_SERVICE_2_SERVICE_NAME=two", "DFP_SERVICE_2_PORT=80",
		"DFP_SERVICE_3_SERVICE_NAME=three", "DFP_SERVICE_3_SERVICE_PATH=/a\nb", "DFP_SERVICE_3_PORT=80",
	)
	refusesToStart(t, r, "DFP_SERVICE_1_PORT", "DFP_SERVICE_2_", "servicePath", "DFP_SERVICE_3_SERVICE_PATH")
	if strings.Contains(r.output(), "sluice runs") {
		t.Error("it ran")
	}
}

// TestStatisticsAndAccessLog: the variables of Docker Flow Proxy that open them.
func TestStatisticsAndAccessLog(t *testing.T) {
	r := newReplica(t, "local")
	r.env = append(r.env, "STATS_USER=u", "STATS_PASS=a-password-of-the-page", "DEBUG=true")
	r.start(t).ready(t, 2*patience)
	page := fmt.Sprintf("http://127.0.0.1:%d/admin?stats", r.http)
	mustStatus(t, get(t, page), http.StatusUnauthorized)
	mustStatus(t, get(t, page, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("u:a-password-of-the-page"))), http.StatusOK)
	eventually(t, patience, "both requests are logged", func() error {
		if n := strings.Count(r.output(), `"component":"access"`); n < 2 {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	says(t, mustStatus(t, get(t, r.url("/metrics")), http.StatusOK).Body, "haproxy_up 1", "haproxy_frontend_http_requests_total{frontend=", "haproxy_exporter_total_scrapes ")
	says(t, mustStatus(t, get(t, r.url("/metrics/haproxy")), http.StatusOK).Body, "haproxy_process_current_connections ", `haproxy_frontend_http_requests_total{proxy="services"}`)
	for _, distribute := range []string{"false", "true"} {
		table := mustStatus(t, r.dfp("metrics", url.Values{"distribute": {distribute}}), http.StatusOK).Body
		if says(t, table, "# pxname,svname,", "\nservices,FRONTEND,"); strings.Contains(table, "pool:") {
			t.Errorf("backends of the pool are told as such:\n%s", table)
		}
	}
	if a := mustStatus(t, r.dfp("config", nil), http.StatusOK); strings.Contains(a.Body+r.output(), "a-password-of-the-page") {
		t.Error("the password is shown")
	}
}
