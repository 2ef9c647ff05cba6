package haproxy

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Native shows the same counters, and those of the process, in the form of the exporter that
// is built into HAProxy (haproxy_process_*, haproxy_frontend_*{proxy}, haproxy_backend_*{proxy},
// haproxy_server_*{proxy,server}), with the names at rest. What is empty is left out, where that one
// says NaN, and so are its agg_* metrics. It cannot be in one registry with Statistics: both use
// the same names with other labels.
func (s Statistics) Native() prometheus.Collector { return native{s} }

type native struct{ from Statistics }

// Describe describes nothing: what there is depends on the configuration.
func (native) Describe(chan<- *prometheus.Desc) {}

// Collect asks HAProxy; without an answer there is nothing.
func (n native) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statisticsTimeout)
	defer cancel()
	info, err := ask(ctx, n.from.socket, "show info", statisticsTimeout)
	if err != nil {
		return
	}
	processMetrics(out, info)
	table, err := n.from.read(ctx)
	if err != nil {
		return
	}
	for _, row := range table.rows {
		nativeRow(out, table.cells(row))
	}
}

func processMetrics(out chan<- prometheus.Metric, info string) {
	names := processNames()
	for line := range strings.Lines(info) {
		key, text, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
		if key == "Version" {
			emit(out, sample{name: "haproxy_process_build_info", help: "Version of HAProxy.", value: 1, labels: []string{"version"}, values: []string{text}})
		}
		if value, err := strconv.ParseFloat(text, 64); err == nil && names[key] != "" {
			emit(out, sample{name: "haproxy_process_" + names[key], help: key + " of HAProxy's process.", value: value})
		}
	}
}

// sample is one line for Prometheus. A name that ends in _total is a counter's.
type sample struct {
	name, help     string
	value          float64
	labels, values []string
}

func emit(out chan<- prometheus.Metric, s sample) {
	kind := prometheus.GaugeValue
	if strings.HasSuffix(s.name, "_total") {
		kind = prometheus.CounterValue
	}
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc(s.name, s.help, s.labels, nil), kind, s.value, s.values...)
}

// nativeRow tells one frontend, backend or server.
func nativeRow(out chan<- prometheus.Metric, cell func(column string) string) {
	base := sample{labels: []string{"proxy"}, values: []string{cell("pxname")}}
	kind := "server"
	switch server := cell("svname"); server {
	case "FRONTEND":
		kind = "frontend"
	case "BACKEND":
		kind = "backend"
	default:
		base.labels, base.values = append(base.labels, "server"), append(base.values, server)
	}
	send := func(name, column string, value float64, label ...string) {
		s := base
		s.name, s.help, s.value = "haproxy_"+kind+"_"+name, "Column "+column+" of HAProxy's statistics.", value
		if len(label) == 2 {
			s.labels, s.values = append(slices.Clip(s.labels), label[0]), append(slices.Clip(s.values), label[1])
		}
		emit(out, s)
	}
	for _, c := range nativeColumns() {
		value, err := strconv.ParseFloat(cell(c.column), 64)
		if err != nil || !strings.Contains(c.in, kind[:1]) {
			continue
		}
		if c.millis {
			value /= 1000
		}
		send(c.name, c.column, value)
	}
	for _, code := range []string{"1xx", "2xx", "3xx", "4xx", "5xx", "other"} {
		if value, err := strconv.ParseFloat(cell("hrsp_"+code), 64); err == nil {
			send("http_responses_total", "hrsp_*", value, "code", code)
		}
	}
	for _, state := range states(kind) {
		send("status", "status", is(stateOf(cell("status")) == state), "state", state)
	}
	if check := strings.TrimPrefix(cell("check_status"), "* "); kind == "server" && check != "" {
		for _, state := range checkStates() {
			send("check_status", "check_status", is(check == state), "state", state)
		}
	}
}

func is(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func states(kind string) []string {
	if kind == "server" {
		return []string{"DOWN", "UP", "MAINT", "DRAIN", "NOLB"}
	}
	return []string{"DOWN", "UP"}
}

// stateOf reduces texts such as "UP 1/3", "MAINT (via a/b)" and "no check".
func stateOf(status string) string {
	word, _, _ := strings.Cut(status, " ")
	if word == "OPEN" || word == "no" {
		return "UP"
	}
	return word
}

func checkStates() []string {
	return strings.Fields("HANA SOCKERR L4OK L4TOUT L4CON L6OK L6TOUT L6RSP L7TOUT L7RSP L7OK L7OKC L7STS PROCERR PROCTOUT PROCOK")
}
