package haproxy_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sluice/proxy/haproxy"
)

// scraped is what Prometheus gets to see of a collector.
func scraped(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func TestStatisticsForPrometheus(t *testing.T) {
	r := newRig(t)
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "one"))
	r.goes(call{path: "/x"}, "one")
	var got string
	r.await("the request in the statistics", func() bool {
		got = scraped(t, haproxy.NewStatistics(r.config.Socket, r.controller.AtRest))
		return strings.Contains(got, `haproxy_frontend_http_responses_total{code="2xx",frontend="services"} 1`) // counted last
	})
	for _, line := range []string{
		`haproxy_up 1`, `haproxy_exporter_total_scrapes [1-9][0-9]*`, `haproxy_exporter_csv_parse_failures 0`,
		`haproxy_frontend_http_responses_total{code="2xx",frontend="services"} 1`,
		`haproxy_backend_up{backend="x-be[0-9]+_0"} 1`,
		`haproxy_server_up{backend="x-be[0-9]+_0",server="x[^"]*"} 1`,
		`haproxy_server_bytes_in_total{backend="x-be[0-9]+_0",server="x[^"]*"} [1-9][0-9]*`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(got) {
			t.Errorf("no line %s in\n%s", line, got)
		}
	}
	if strings.Contains(got, "pool:") {
		t.Errorf("backends of the pool are told as such:\n%s", got)
	}
	r.stop()
	if got := scraped(t, haproxy.NewStatistics(r.config.Socket, r.controller.AtRest)); !strings.Contains(got, "haproxy_up 0\n") || strings.Contains(got, "haproxy_server") {
		t.Errorf("without HAProxy:\n%s", got)
	}
}
