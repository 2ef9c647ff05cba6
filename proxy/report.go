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
	return c.news
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
	close(c.news)
	c.news = make(chan struct{})
}

// observe looks at the process. A worker that was not loaded by this controller, or has
// another generation, holds what is not known.
func (c *Controller) observe(ctx context.Context) {
	state := c.cfg.Process.State(ctx)
	c.up = state.Up
	if c.loaded() && (!state.Up || state.Generation != c.generation || state.Worker != c.worker) {
		c.lose()
	}
	if c.crowded && state.OldWorkers < crowd {
		c.pace(state)
	}
	c.metrics.observe(state, len(c.banned), c.generation)
	c.publish(func(r *Report) {
		r.Up, r.OldWorkers = state.Up, state.OldWorkers
		r.Ready = c.loaded() && state.Up
	})
}

// lose notes that it is not known any more what the worker holds.
func (c *Controller) lose() {
	c.adrift = true
	c.publish(func(r *Report) { r.StreamID, r.Seq, r.Reached, r.Behind = "", 0, 0, nil })
}

// maxBehind bounds how many services are told to be behind.
const maxBehind = 50

// reportReached publishes that the position is live but for some services, so that who has
// changed others need not wait for these.
func (c *Controller) reportReached(d Desired, waiting []string) {
	behind := slices.Concat(waiting, sortedKeys(c.newcomers))
	if d.StreamID != c.Report().StreamID || len(behind) > maxBehind {
		return
	}
	slices.Sort(behind)
	quarantine := c.quarantine()
	c.publish(func(r *Report) { r.Reached, r.Behind, r.Quarantine = d.Seq, slices.Compact(behind), quarantine })
}

// maxTold bounds how many new notes are logged at once: when no name resolves, they are all alike.
const maxTold = 50

// tellNotes logs the notes that are new. Both lists are sorted.
func (c *Controller) tellNotes(notes []string) {
	told := 0
	for _, note := range notes {
		if _, before := slices.BinarySearch(c.reported.notes, note); before {
			continue
		}
		if told++; told <= maxTold {
			c.log.Warn().Msg(note)
		}
	}
	if told > maxTold {
		c.log.Warn().Int("more", told-maxTold).Msg("more parameters have no effect here, see the status")
	}
	c.reported.notes = notes
}

// reportLive publishes that the position is live.
func (c *Controller) reportLive(d Desired) {
	c.startBans()
	quarantine, notes := c.quarantine(), c.model.Notes()
	sh := c.model.shape()
	if sh != c.reported.shape {
		c.reported.shape = sh
		c.presented.set(c.model.Certificates(), time.Now(), c.log)
	}
	c.tellNotes(notes)
	problems := slices.Concat(c.unusable, sh.problems)
	c.publish(func(r *Report) {
		r.StreamID, r.Seq, r.Generation, r.ConfigDigest = d.StreamID, d.Seq, c.generation, c.digest
		r.Reached, r.Behind = d.Seq, nil
		r.Quarantine, r.Notes, r.LastError = quarantine, notes, ""
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
