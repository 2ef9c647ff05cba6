package sim_test

import (
	"fmt"
	"slices"

	"sluice/crdt"
	"sluice/events"
)

// oracle knows every write and what may have become of it. It decides by its own records and
// looks at the replicas from outside only.
type oracle struct {
	w       *world
	writes  []write
	byStamp map[crdt.Stamp]int
	digests map[uint64]uint64 // of states, by their prefix
	// healthy: the log's clock is right, so that admission and fold must agree (I6).
	healthy bool

	cells, excused int
	dropped        int // live entries that were given up as older than R
	outOfState     int // of these, those that were in a state: long known, lost by a new log
}

// write is one write of anybody.
type write struct {
	entry   crdt.Entry
	key     int
	message outgoing
	// accepted: somebody was told yes. refused: somebody was told that it is certainly not applied.
	accepted, refused bool
	reported          bool
	future            bool // rejected as such: what a wrong clock deserves, so that it counts as no excuse
	applied           bool // by a fold, whatever its caller was told
	collected         bool // a removal that did its work: nothing of it has to be left
	admitted          bool // by a replica whose clock is right
	copies            int  // exact ones that are left
	ended             ending
	endedBy           int    // the write that superseded the last copy
	beatenBy          []int  // greater writes that took its place somewhere
	excuse            int8   // memo of excusable: 0 unknown, 1 yes, -1 no
	fingerprint       uint64 // of entry
}

// holding is what one replica has of one key: write numbers, -1 for none.
type holding [3]int

const (
	inState = iota
	inAccepted
	inUnderway
)

var nothing = holding{-1, -1, -1}

func newOracle(w *world) *oracle {
	return &oracle{
		w: w, writes: make([]write, 0, 64), byStamp: make(map[crdt.Stamp]int, 64),
		digests: make(map[uint64]uint64, 64), healthy: true,
	}
}

// record makes a write known; data is its message.
func (o *oracle) record(e crdt.Entry, data []byte) int {
	i := len(o.writes)
	o.writes = append(o.writes, write{
		entry: e, key: slices.Index(keys, e.Key), fingerprint: e.Fingerprint(),
		message: outgoing{Outgoing: events.Outgoing{Subject: o.w.subjects[e.Key], Data: data}, writes: []int{i}},
	})
	if _, twice := o.byStamp[e.Stamp]; !twice {
		o.byStamp[e.Stamp] = i
	}
	return i
}

// find is the number of the write that made e.
func (o *oracle) find(e crdt.Entry) (int, bool) {
	same := func(w *write) bool { return w.entry.Key == e.Key && w.entry.Compare(e) == 0 }
	if i, ok := o.byStamp[e.Stamp]; ok && same(&o.writes[i]) {
		return i, true
	}
	for i := range o.writes {
		if same(&o.writes[i]) {
			return i, true
		}
	}
	return -1, false
}

// describe is for traces and violations.
func (o *oracle) describe(i int) fmt.Stringer { return described{o, i} }

// described costs nothing unless it is printed.
type described struct {
	o *oracle
	i int
}

func (d described) String() string {
	o, i := d.o, d.i
	if i < 0 {
		return "nothing"
	}
	e := o.writes[i].entry
	what := string(e.Value)
	if e.Deleted {
		what = "removal"
	}
	return fmt.Sprintf("#%d %s=%s of %.3f+%d by %x", i, e.Key, what, seconds(e.Stamp.Millis()), e.Stamp.HLC&0xffff, e.Stamp.Node)
}

// seconds since the simulation began, of milliseconds since 1970.
func seconds(ms uint64) float64 { return float64(int64(ms)-begin) / 1000 }

// report notes what n gives up, which must be as old as the report says.
func (o *oracle) report(n *node, list []events.Report) {
	for _, r := range list {
		i, ok := o.find(r.Entry)
		if !ok {
			o.w.fail("%v is reported, which nobody wrote", r.Entry)
		}
		if s := n.core.State(); r.Reason != events.ReasonFuture && !expired(s, r.Entry) {
			o.w.fail("n%d reports %s as %s at ref %.3f, which is too early", n.index, o.describe(i), r.Reason, seconds(s.Ref))
		}
		if !o.writes[i].reported && r.Entry.Live() && r.Reason == events.ReasonExpired {
			o.dropped++
		}
		o.writes[i].reported = true
		o.writes[i].future = o.writes[i].future || r.Reason == events.ReasonFuture
		o.w.trace("reported as %s: %s", r.Reason, o.describe(i))
	}
}

// folded looks at what a fold made of messages, and learns the stamps of raw writes; m is
// the newest of the messages.
func (o *oracle) folded(n *node, p events.Progress, m *stored) {
	for _, e := range p.Effects {
		if e.Result == events.ResultGenesis {
			n.begins = o.stores(n.log, e, nil)
		}
		if e.Entry.Key == "" {
			continue
		}
		i, known := o.find(e.Entry)
		switch {
		case e.Event.Raw() && (e.Result != events.ResultApplied || e.Prior.Key != "" && e.Entry.Compare(e.Prior) <= 0):
			o.w.fail("I5: raw write at %d is %s, stamp %v after %v", e.Seq, e.Result, e.Entry.Stamp, e.Prior.Stamp)
		case e.Event.Raw() && !known:
			i = o.record(e.Entry, o.w.codec.encode(e.Entry))
			o.writes[i].accepted = true
			o.w.trace("the raw write at %d is %s", e.Seq, o.describe(i))
			o.stores(n.log, e, o.writes[i].message.writes)
		case !known:
			o.w.fail("%v is folded, which nobody wrote", e.Entry)
		case e.Result == events.ResultFuture && o.writes[i].admitted && o.healthy:
			o.w.fail("I6: %s was admitted by a replica with a good clock and is rejected as future", o.describe(i))
		}
		if e.Result == events.ResultBeaten && e.Entry.Compare(e.Prior) != 0 {
			o.beats(o.must(n, e.Prior), i)
		}
		o.writes[i].applied = o.writes[i].applied || e.Result == events.ResultApplied
		if o.w.out != nil {
			o.w.trace("n%d folds %d: %s %s", n.index, e.Seq, e.Result, o.describe(i))
		}
	}
	if m != nil && len(p.Effects) == 0 && o.w.out != nil {
		o.w.trace("n%d reads %d", n.index, m.Seq)
	}
}
