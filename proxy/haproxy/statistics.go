package haproxy

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// statisticsTimeout bounds one collection.
const statisticsTimeout = 5 * time.Second

// Statistics shows HAProxy's counters in the form of the HAProxy exporter for Prometheus
// (haproxy_frontend_*, haproxy_backend_*, haproxy_server_*, haproxy_up), read from the
// workers' socket at each collection. It is safe for concurrent use.
type Statistics struct {
	socket string
	name   func(backend string) string
	asked  *asked
}

// asked counts the collections, and those whose answer could not be read.
type asked struct{ all, unread atomic.Uint64 }

var _ prometheus.Collector = Statistics{}

// NewStatistics reads from the workers' socket. name tells what a backend is called at rest;
// "" leaves it out.
func NewStatistics(socket string, name func(backend string) string) Statistics {
	return Statistics{socket, name, &asked{}}
}

// Describe describes nothing: what there is depends on the configuration.
func (Statistics) Describe(chan<- *prometheus.Desc) {}

// Collect asks HAProxy. While it does not answer, haproxy_up is 0 and alone with the exporter's own counters.
func (s Statistics) Collect(out chan<- prometheus.Metric) {
	// The interface has no context of the scrape; the time is bounded all the same.
	ctx, cancel := context.WithTimeout(context.Background(), statisticsTimeout)
	defer cancel()
	s.asked.all.Add(1)
	table, err := s.read(ctx)
	if errors.Is(err, errUnreadable) {
		s.asked.unread.Add(1)
	}
	send := func(name, help string, kind prometheus.ValueType, value float64) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), kind, value)
	}
	send("haproxy_exporter_total_scrapes", "Times that HAProxy was asked for its statistics.", prometheus.CounterValue, float64(s.asked.all.Load()))
	send("haproxy_exporter_csv_parse_failures", "Answers that could not be read.", prometheus.CounterValue, float64(s.asked.unread.Load()))
	const up, upHelp = "haproxy_up", "1 if HAProxy told its statistics."
	if err != nil {
		send(up, upHelp, prometheus.GaugeValue, 0)
		return
	}
	send(up, upHelp, prometheus.GaugeValue, 1)
	for _, row := range table.rows {
		statisticsRow(out, table.cells(row))
	}
}

// statistic is one column and what the exporter calls it.
type statistic struct {
	column, name, help string
	counter            bool
	in                 string // f, b, s: frontends, backends, servers
}

func statistics() []statistic {
	return []statistic{
		{"qcur", "current_queue", "Requests that wait.", false, "bs"},
		{"qmax", "max_queue", "Most requests that waited.", false, "bs"},
		{"scur", "current_sessions", "Sessions now.", false, "fbs"},
		{"smax", "max_sessions", "Most sessions.", false, "fbs"},
		{"slim", "limit_sessions", "Limit of sessions.", false, "fbs"},
		{"stot", "sessions_total", "Sessions.", true, "fbs"},
		{"bin", "bytes_in_total", "Bytes received.", true, "fbs"},
		{"bout", "bytes_out_total", "Bytes sent.", true, "fbs"},
		{"dreq", "requests_denied_total", "Requests denied.", true, "f"},
		{"ereq", "request_errors_total", "Request errors.", true, "f"},
		{"econ", "connection_errors_total", "Connections that failed.", true, "bs"},
		{"eresp", "response_errors_total", "Responses that failed.", true, "bs"},
		{"wretr", "retry_warnings_total", "Connections tried again.", true, "bs"},
		{"wredis", "redispatch_warnings_total", "Requests sent to another server.", true, "bs"},
		{"weight", "weight", "Weight.", false, "bs"},
		{"chkfail", "check_failures_total", "Checks that failed.", true, "s"},
		{"downtime", "downtime_seconds_total", "Seconds out of service.", true, "s"},
		{"rate", "current_session_rate", "Sessions in the last second.", false, "fbs"},
		{"rate_max", "max_session_rate", "Most sessions in a second.", false, "fbs"},
		{"req_tot", "http_requests_total", "HTTP requests.", true, "f"},
	}
}

// statisticsRow tells one frontend, backend or server.
func statisticsRow(out chan<- prometheus.Metric, cell func(column string) string) {
	names, values, kind := []string{"backend"}, []string{cell("pxname")}, "backend"
	switch server := cell("svname"); server {
	case "FRONTEND":
		names, kind = []string{"frontend"}, "frontend"
	case "BACKEND":
	default:
		names, values, kind = append(names, "server"), append(values, server), "server"
	}
	send := func(name, help string, kindOf prometheus.ValueType, value float64, more ...string) {
		labels, of := names, values
		if len(more) > 0 {
			labels, of = append(labels[:len(labels):len(labels)], "code"), append(of[:len(of):len(of)], more...)
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("haproxy_"+kind+"_"+name, help, labels, nil), kindOf, value, of...)
	}
	for _, s := range statistics() {
		value, err := strconv.ParseFloat(cell(s.column), 64)
		if err != nil || !strings.Contains(s.in, kind[:1]) {
			continue // a column may be empty, or new, or gone
		}
		valueType := prometheus.GaugeValue
		if s.counter {
			valueType = prometheus.CounterValue
		}
		send(s.name, s.help, valueType, value)
	}
	for _, code := range []string{"1xx", "2xx", "3xx", "4xx", "5xx", "other"} {
		if value, err := strconv.ParseFloat(cell("hrsp_"+code), 64); err == nil {
			send("http_responses_total", "HTTP responses.", prometheus.CounterValue, value, code)
		}
	}
	if kind != "frontend" {
		send("up", "1 if it takes requests.", prometheus.GaugeValue, serving(cell("status")))
	}
}

// serving is 1 for the states in which requests are taken.
func serving(status string) float64 {
	if strings.HasPrefix(status, "UP") || status == "OPEN" || status == "no check" {
		return 1
	}
	return 0
}
