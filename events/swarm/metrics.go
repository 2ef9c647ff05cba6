package swarm

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	objects  prometheus.Gauge
	lastLook prometheus.Gauge
	looks    *prometheus.CounterVec
	writes   *prometheus.CounterVec
	refusals prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (metrics, error) {
	m := metrics{
		objects:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_swarm_services", Help: "Services and containers that ask for a route by their labels."}),
		lastLook: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_swarm_last_look_timestamp_seconds", Help: "When Docker and the state were last compared to the end."}),
		looks:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_swarm_looks_total", Help: "Comparisons of Docker and the state, by result: done or failed."}, []string{"result"}),
		writes:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_swarm_writes_total", Help: "Changes that were written, by what they did: announce, remove or tasks."}, []string{"verb"}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_swarm_refusals_total", Help: "Definitions of labels that were refused."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.objects, m.lastLook, m.looks, m.writes, m.refusals} {
		if err := reg.Register(c); err != nil {
			return m, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
