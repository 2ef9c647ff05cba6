package events_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events"
)

// A first installation finds nothing that could hold a state, and while it waits for its random
// time a replica that has one comes: the log begins with that, however old its services are.
func TestPeerThatComesBeforeABlankStart(t *testing.T) {
	var peer atomic.Bool
	log := newMemLog()
	log.intercept = func(m events.Outgoing) error {
		if m.Subject == testLog.Control(events.ControlTick) { // the blank start is decided, its random wait begins
			peer.Store(true)
		}
		return nil
	}
	a := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) {
		c.PeerHasState, c.Bootstrap.Jitter = peer.Load, time.Millisecond
	})
	a.until("told why", func(v events.View) bool {
		return !v.Restored && strings.Contains(v.Problem, "another replica has the state")
	})
	b := runReplica(t, log, func() {}, withShelf(&shelf{data: encoded(t, aged(t, 40*24*time.Hour))}))
	for _, r := range []*replica{a, b} {
		r.fresh()
		r.holds("old", `{"v":1}`)
	}
	if v := a.View(); v.Problem != "" || v.Rejected > 0 {
		t.Errorf("problem %q, %d given up", v.Problem, v.Rejected)
	}
}

// A state that is found after the random wait, here in a store, is what the log begins with.
func TestStateThatComesBeforeABlankStart(t *testing.T) {
	log, kept, found := newMemLog(), &shelf{}, encoded(t, aged(t, 40*24*time.Hour))
	log.got = func() { kept.fill(found) } // the clocks are compared, the random wait follows
	a := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { withShelf(kept)(c); c.RestoreAfter = patience })
	a.fresh()
	a.holds("old", `{"v":1}`)
}

// aged is a snapshot of a day ago with a service of that age.
func aged(t *testing.T, age time.Duration) events.Snapshot {
	t.Helper()
	m := crdt.NewMap()
	written := uint64(time.Now().Add(-age).UnixMilli())
	m.Merge(crdt.Entry{Key: "service/old", Stamp: crdt.Stamp{HLC: written << 16, Node: 1 << 63}, Value: []byte(`{"v":1}`)})
	snap := snapshot(t, m)
	snap.Namespace, snap.State.Params = testLog.Namespace, events.DefaultParams()
	snap.State.Ref = uint64(time.Now().Add(-24 * time.Hour).UnixMilli())
	return snap
}
