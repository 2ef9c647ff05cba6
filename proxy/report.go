package proxy

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Report is what is live now. Its slices are shared: do not change them.
func (c *Controller) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report
}

// Reported is closed when the report next changes.
func (c *Controller) Reported() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reported
}

// publish changes the report and wakes who waits for that.
func (c *Controller) publish(change func(*Report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.report
	change(&next)
	if reflect.DeepEqual(next, c.report) {
		return
	}
	c.report = next
	close(c.reported)
	c.reported = make(chan struct{})
}

// observe looks at the process.
func (c *Controller) observe(ctx context.Context) {
	state := c.cfg.Process.State(ctx)
	c.metrics.observe(state, len(c.banned), c.generation)
	c.publish(func(r *Report) {
		r.Up, r.OldWorkers = state.Up, state.OldWorkers
		r.Ready = c.live.loaded && state.Up
	})
}

// reportLive publishes that the position is live.
func (c *Controller) reportLive(d Desired, m *Model) {
	c.live.position = Desired{StreamID: d.StreamID, Seq: d.Seq}
	quarantine := c.quarantine()
	c.presented.set(m.Certificates(), time.Now(), c.log)
	problems := slices.Concat(c.unusable, m.problems)
	for _, note := range m.Notes() {
		if !slices.Contains(c.Report().Notes, note) {
			c.log.Warn().Msg(note)
		}
	}
	c.publish(func(r *Report) {
		r.StreamID, r.Seq, r.Generation, r.ConfigDigest = d.StreamID, d.Seq, c.generation, c.live.digest
		r.Quarantine, r.Notes, r.LastError = quarantine, m.Notes(), ""
		r.Ready, r.Up, r.Problems = true, true, problems
	})
}

func (c *Controller) quarantine() []Quarantined {
	var list []Quarantined
	for _, name := range sortedKeys(c.banned) {
		b := c.banned[name]
		q := Quarantined{Service: name, Version: b.version, Reason: b.reason}
		if b.substitute != nil {
			q.Serving = b.substitute.version
		}
		list = append(list, q)
	}
	slices.SortFunc(list, func(a, b Quarantined) int { return strings.Compare(a.Service, b.Service) })
	return list
}
