package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	loads       *prometheus.CounterVec
	seconds     prometheus.Histogram
	old         prometheus.Gauge
	quarantined prometheus.Gauge
	generation  prometheus.Gauge
	up          prometheus.Gauge
	updates     *prometheus.CounterVec
	updating    prometheus.Histogram
}

// newMetrics registers the package's metrics; a nil registerer keeps them private.
func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_proxy_" + name, Help: help})
	}
	m := &metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_proxy_loads_total", Help: "Loads of HAProxy by result: ok, refused, failed.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_proxy_load_seconds", Help: "Time from writing the files to a worker that serves them.",
			Buckets: prometheus.ExponentialBuckets(0.02, 2, 10),
		}),
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_proxy_runtime_updates_total", Help: "Changes of the running HAProxy by result: ok, failed, resync.",
		}, []string{"result"}),
		updating: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_proxy_runtime_update_seconds", Help: "Time of a change of the running HAProxy.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 12),
		}),
		old:         gauge("old_workers", "HAProxy workers that finish old connections."),
		quarantined: gauge("quarantined_services", "Services whose newest version is not served."),
		generation:  gauge("generation", "Number of the newest load."),
		up:          gauge("haproxy_up", "1 while HAProxy runs."),
	}
	if reg != nil {
		reg.MustRegister(m.loads, m.seconds, m.old, m.quarantined, m.generation, m.up, m.updates, m.updating)
	}
	for _, result := range []string{"ok", "refused", "failed"} {
		m.loads.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "failed", "resync"} {
		m.updates.WithLabelValues(result)
	}
	return m
}

func (m *metrics) applied(result string, took time.Duration) {
	m.updates.WithLabelValues(result).Inc()
	if result == "ok" {
		m.updating.Observe(took.Seconds())
	}
}

func (m *metrics) loaded(result string, took time.Duration) {
	m.loads.WithLabelValues(result).Inc()
	if result == "ok" {
		m.seconds.Observe(took.Seconds())
	}
}

func (m *metrics) observe(s ProcessState, quarantined int, generation uint64) {
	up := 0.0
	if s.Up {
		up = 1
	}
	m.up.Set(up)
	m.old.Set(float64(s.OldWorkers))
	m.quarantined.Set(float64(quarantined))
	m.generation.Set(float64(generation))
}
