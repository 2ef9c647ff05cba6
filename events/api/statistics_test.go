package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/events/api"
	"sluice/events/api/apitest"
)

// TestStatisticsOfDockerFlowProxy: HAProxy's table, and those of all instances one after the other.
func TestStatisticsOfDockerFlowProxy(t *testing.T) {
	one, two := apitest.New(), apitest.New()
	one.Table, two.Table = "# pxname\none\n", "# pxname\ntwo\n"
	other := serve(t, two, func(c *api.Config) { c.Statistics = two })
	var bases []string
	var lookup error
	base := serve(t, one, func(c *api.Config) {
		c.Statistics = one
		c.Instances = func(context.Context) ([]string, error) { return bases, lookup }
	})
	if got := get(t, base+dfp+"metrics?distribute=true"); got.body != one.Table {
		t.Errorf("alone: %d %s", got.status, got.body)
	}
	bases = []string{base, other}
	for query, want := range map[string]string{"": one.Table, "?distribute=yes": one.Table, "?distribute=True": one.Table + two.Table} {
		if got := get(t, base+dfp+"metrics"+query); got.status != http.StatusOK || got.body != want || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%q: %d %v %q", query, got.status, got.header, got.body)
		}
	}
	failure := func(what, url string) {
		t.Helper()
		if got := get(t, url); got.status != http.StatusInternalServerError || got.json(t)["Status"] != "NOK" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	two.Table = ""
	failure("HAProxy is gone", other+dfp+"metrics")
	failure("that of another is", base+dfp+"metrics?distribute=true")
	lookup = errors.New("no such name")
	failure("no instances", base+dfp+"metrics?distribute=true")
	if got := get(t, base+dfp+"nothing"); got.status != http.StatusNotFound || got.json(t)["Status"] != "NOK" {
		t.Errorf("a path that is not there: %d %s", got.status, got.body)
	}
}

// TestTwoFormsOfMetrics: the same names with other labels are on another path.
func TestTwoFormsOfMetrics(t *testing.T) {
	registry := func(label string) *prometheus.Registry {
		r := prometheus.NewRegistry()
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "haproxy_frontend_current_sessions", ConstLabels: prometheus.Labels{label: "x"}}, func() float64 { return 1 }))
		return r
	}
	base := serve(t, apitest.New(), func(c *api.Config) { c.Metrics, c.HAProxyMetrics = registry("frontend"), registry("proxy") })
	for path, label := range map[string]string{"/metrics": "frontend", "/metrics/haproxy": "proxy"} {
		if got := get(t, base+path); got.status != http.StatusOK || !strings.Contains(got.body, `haproxy_frontend_current_sessions{`+label+`="x"} 1`) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}
