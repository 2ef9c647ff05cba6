package sim_test

import (
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/internal/rule"
)

var (
	names = events.Subjects{Namespace: "sim"}
	keys  = []string{"service/a", "service/b", "service/c", "service/d"}
)

// settings are what a world is made of.
type settings struct {
	name           string // of the scenario
	replicas, keys int
	broken         rule.Set
	// rng is nil in a world without chance: nothing is lost, doubled or late by itself.
	rng  *rand.Rand
	real bool      // codec
	out  io.Writer // trace; nil: none
	// losses of broadcasts and publishes; late: copies of publishes that arrive up to 2 R later. In per cent.
	lossCast, lossPublish, double, late int
	// disks is the number of replicas that keep their pending layer over a crash.
	disks int
}

// world is replicas, their logs, what is on its way between them, and the checker.
// Times are milliseconds after begin.
type world struct {
	settings
	params events.Params
	now    int64
	leader int64 // by which the logs' clock is wrong
	coarse int64 // resolution of wall clocks

	nodes       []*node
	sides       [2]*log // the log of each side; the same one unless the cluster is split
	logs        int
	stamped     int64
	ids         int
	mail        []letter
	nextMail    int64  // not later than any of them
	checkpoints []kept // Consul's, oldest first
	codec       codec
	subjects    map[string]string // by key
	oracle      *oracle
	hash        maphash.Seed
	operator    int  // times that an operator had to recreate the log or force a genesis
	forced      bool // the latter: with a state older than R removals may be undone
}

// kept is a state in a store and the checker's hash of its prefix.
type kept struct {
	state *events.State
	chain uint64
}

// letter is something that arrives later.
type letter struct {
	at      int64
	to      *node      // of a broadcast, else nil
	entry   crdt.Entry // broadcast
	side    int        // of a publish
	publish *outgoing
}

// R and the other parameters, far smaller than in the product so that runs outlive them.
const (
	simR = 400 * time.Second
	simF = 20 * time.Second
	simA = 5 * time.Second
	rMs  = int64(simR / time.Millisecond)
)

func newWorld(s settings) *world {
	w := &world{
		settings: s, hash: maphash.MakeSeed(), codec: codec{real: s.real}, coarse: 1, subjects: map[string]string{},
		params: events.Params{Version: events.FoldVersion, R: simR, F: simF, N: 5},
	}
	if s.broken.Has(rule.TightF) {
		w.params.F = simA
	}
	for _, key := range keys {
		w.subjects[key] = names.Event(key)
	}
	l := w.newLog()
	w.sides = [2]*log{l, l}
	w.oracle = newOracle(w)
	for i := range s.replicas {
		n := &node{w: w, index: i, disk: i < s.disks}
		w.nodes = append(w.nodes, n)
		n.start()
	}
	return w
}

func (w *world) trace(format string, args ...any) {
	if w.out != nil {
		fmt.Fprintf(w.out, "%9.3f  "+format+"\n", append([]any{float64(w.now) / 1000}, args...)...)
	}
}

// percent is true so often.
func (w *world) percent(p int) bool { return w.rng != nil && p > 0 && w.rng.IntN(100) < p }

// upTo draws from 0 to n-1; 0 in a world without chance.
func (w *world) upTo(n int64) int64 {
	if w.rng == nil || n <= 0 {
		return 0
	}
	return w.rng.Int64N(n)
}

// violation ends a run.
type violation struct{ text string }

func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.trace("VIOLATION: %s", text)
	panic(violation{fmt.Sprintf("at %.3f s: %s", float64(w.now)/1000, text)})
}

// pass lets time go by and delivers what arrives meanwhile.
func (w *world) pass(ms int64) {
	w.now += ms
	if w.now < w.nextMail {
		return
	}
	w.nextMail = math.MaxInt64
	due := make([]letter, 0, 4)
	w.mail = slices.DeleteFunc(w.mail, func(l letter) bool {
		if l.at <= w.now {
			due = append(due, l)
			return true
		}
		w.nextMail = min(w.nextMail, l.at)
		return false
	})
	for _, l := range due {
		w.arrive(l)
	}
}

func (w *world) send(l letter) {
	w.mail = append(w.mail, l)
	w.nextMail = min(w.nextMail, l.at)
}

func (w *world) arrive(l letter) {
	switch {
	case l.publish != nil:
		if log := w.sides[l.side]; log.up {
			w.trace("a late copy of %v reaches %s as %d", l.publish.writes, log.id, log.last()+1)
			w.append(log, *l.publish)
		}
	case l.to.up():
		l.to.admit(l.entry)
	}
}

// publish sends a message to the log of n's side; 0: it is lost, as far as n knows.
func (w *world) publish(n *node, m outgoing) uint64 {
	l := n.side()
	if !n.reaches(l) || w.percent(w.lossPublish) {
		return 0
	}
	seq := w.append(l, m)
	if w.percent(w.double) {
		w.append(l, m)
	}
	if w.percent(w.late) {
		w.send(letter{at: w.now + w.upTo(2*rMs), side: n.part, publish: &m})
	}
	return seq
}

// raw is a write of a client that publishes straight to the log.
func (w *world) raw(l *log, key string) {
	w.ids++
	e := crdt.Entry{Key: key, Value: fmt.Appendf(nil, `{"raw":%d}`, w.ids)}
	w.append(l, outgoing{Outgoing: events.Outgoing{Subject: names.Event(key), Data: w.codec.encode(e)}, raw: true})
	w.trace("raw write %s of %s at %d", e.Value, key, l.last())
}

func (w *world) tick(l *log) {
	w.ids++
	m := events.Tick(names, "tick")
	w.append(l, outgoing{Outgoing: m})
	w.trace("tick at %d", l.last())
}

// trim removes the head of the log that rule 21 allows to go.
func (w *world) trim(l *log) {
	point := events.TrimPoint(w.validPositions(l))
	if point <= l.first {
		return
	}
	w.trace("log %s is trimmed below %d", l.id, point)
	w.oracle.lost(l.messages[l.first-1:point-1], trimmed)
	l.first, l.spoilt = point, false
	w.trimmable(l)
}

// trimmable is I10: whoever begins with a trimmed log has three valid checkpoints to choose from.
func (w *world) trimmable(l *log) {
	if n := len(w.validPositions(l)); l.first > 1 && !l.spoilt && n < 3 {
		w.fail("I10: log %s begins at %d, and there are %d valid checkpoints", l.id, l.first, n)
	}
}

// validPositions are those of the valid checkpoints, each once.
func (w *world) validPositions(l *log) []uint64 {
	var seqs []uint64
	for _, k := range w.checkpoints {
		if l.valid(k.state) && !slices.Contains(seqs, k.state.Seq()) {
			seqs = append(seqs, k.state.Seq())
		}
	}
	return seqs
}

// keep stores a checkpoint, one a position; old ones go unless they are among the newest valid three.
func (w *world) keep(k kept) {
	w.checkpoints = slices.DeleteFunc(w.checkpoints, func(c kept) bool { return c.state.Anchor == k.state.Anchor })
	w.checkpoints = append(w.checkpoints, k)
	for len(w.checkpoints) > 8 {
		seqs, victim := w.validPositions(w.sides[0]), 0
		slices.Sort(seqs)
		if len(seqs) > 3 {
			seqs = seqs[len(seqs)-3:]
		}
		for i, c := range w.checkpoints[:len(w.checkpoints)-1] {
			if !w.sides[0].valid(c.state) || !slices.Contains(seqs, c.state.Seq()) {
				victim = i
				break
			}
		}
		w.checkpoints = slices.Delete(w.checkpoints, victim, victim+1)
	}
	w.trimmable(w.sides[0])
}
