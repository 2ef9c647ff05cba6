package events

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	folds       *prometheus.CounterVec
	writes      *prometheus.CounterVec
	reported    *prometheus.CounterVec
	snapshots   *prometheus.CounterVec
	snapshotSeq *prometheus.GaugeVec
	checkpoints prometheus.Gauge
	trimmed     prometheus.Counter
	admitted    *prometheus.CounterVec
	diverged    prometheus.Counter
	violations  *prometheus.CounterVec
	skew        prometheus.Gauge
	conflicts   prometheus.Counter
	stale       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		folds:     counter("sluice_log_messages_total", "Messages of the log folded by this process, by what the fold made of them.", "result"),
		writes:    counter("sluice_writes_total", "Changes asked of this replica, by outcome.", "outcome"),
		reported:  counter("sluice_changes_reported_total", "Pending changes that may be lost, by reason.", "reason"),
		snapshots: counter("sluice_snapshots_total", "Snapshots loaded and saved, by store, action and outcome.", "store", "action", "outcome"),
		snapshotSeq: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_snapshot_sequence", Help: "Position of the newest snapshot that this process saved, by store.",
		}, []string{"store"}),
		checkpoints: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_checkpoints_valid", Help: "Checkpoints beside the log that fit it, as counted when this process last kept them in order.",
		}),
		trimmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_log_trimmed_messages_total", Help: "Messages that this process removed from the log's head.",
		}),
		admitted:   counter("sluice_peer_changes_total", "Pending changes heard of from other replicas, by what became of them.", "admission"),
		violations: counter("sluice_invariant_violations_total", "Invariants of the state that were found broken; never, unless a machine or the program fails.", "invariant"),
		skew: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_clock_skew_seconds", Help: "Log's time minus this machine's, as of the newest live message; changes are refused from 15 s on.",
		}),
		diverged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_divergence_total", Help: "Replicas found with another map at the same position of the same log; never, unless a machine or the program fails.",
		}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_conflicts_total", Help: "Writes in the log that competed with another write of their key, as folded by this process.",
		}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_stale", Help: "1 while the state may be behind the log.",
		}),
	}
	m.stale.Set(1)
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.folds, m.writes, m.reported, m.snapshots, m.snapshotSeq, m.stale, m.violations, m.skew, m.checkpoints, m.trimmed, m.admitted, m.diverged, m.conflicts} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) folded(result Result) { m.folds.WithLabelValues(string(result)).Inc() }

func (m *metrics) write(err error) {
	m.writes.WithLabelValues(outcome(err)).Inc()
}

func outcome(err error) string {
	for name, target := range map[string]error{
		"not_ready": ErrNotReady, "unavailable": ErrUnavailable, "refused": ErrRefused, "clock": ErrClock,
		"precondition": ErrPrecondition, "rejected": ErrRejected, "unknown": ErrUnknownOutcome,
	} {
		if errors.Is(err, target) {
			return name
		}
	}
	if err != nil {
		return "failed"
	}
	return "done"
}
