package sim_test

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"time"

	"sluice/events"
)

// begin is second 0 of the simulation, in milliseconds since 1970.
const begin = int64(1_700_000_000_000)

// log is the durable log in memory: what the replicas may lose is under control here.
type log struct {
	id       string
	first    uint64
	messages []stored // sequence 1 first, trimmed ones included
	up       bool
	// spoilt: it has lost a tail since it was trimmed, which checkpoints may have gone with.
	spoilt bool
}

// stored is a message and what the checker knows of it: the writes of which it is an exact
// copy, and the hash of everything up to it.
type stored struct {
	events.Message
	writes []int
	begins []int // writes in the map of a genesis: copies once that counts
	raw    bool
	chain  uint64
}

func (l *log) last() uint64 { return uint64(len(l.messages)) }

func (l *log) info() events.LogInfo {
	return events.LogInfo{StreamID: l.id, First: l.first, Last: l.last()}
}

// kept are the messages that are not trimmed.
func (l *log) kept() []stored { return l.messages[min(l.first-1, l.last()):] }

// get is nil for what is not there.
func (l *log) get(seq uint64) *events.Message {
	if seq < l.first || seq > l.last() || seq == 0 {
		return nil
	}
	return &l.messages[seq-1].Message
}

// chainAt is the hash of everything up to seq.
func (l *log) chainAt(seq uint64) uint64 {
	if seq == 0 || seq > l.last() {
		return 0
	}
	return l.messages[seq-1].chain
}

// outgoing is a message on its way to a log.
type outgoing struct {
	events.Outgoing
	writes, begins []int
	raw            bool
}

// append stores a message at the leader's time; no two messages have the same one.
func (w *world) append(l *log, m outgoing) uint64 {
	w.stamped++
	at := time.UnixMilli(begin + w.now + w.leader).Add(time.Duration(w.stamped) * time.Nanosecond)
	s := stored{
		Message: events.Message{Seq: l.last() + 1, Time: at, Subject: m.Subject, Data: m.Data},
		writes:  m.writes, begins: m.begins, raw: m.raw,
	}
	s.chain = w.mix(l.chainAt(l.last()), s.Anchor())
	l.messages = append(l.messages, s)
	for _, i := range m.writes {
		w.oracle.copied(i)
	}
	return s.Seq
}

// mix goes on from the hash of a prefix with one more message.
func (w *world) mix(chain uint64, a events.Anchor) uint64 {
	var b [40]byte
	binary.LittleEndian.PutUint64(b[:], chain)
	binary.LittleEndian.PutUint64(b[8:], a.Seq)
	binary.LittleEndian.PutUint64(b[16:], uint64(a.Time))
	copy(b[24:], a.Hash[:])
	return maphash.Bytes(w.hash, b[:])
}

func (w *world) newLog() *log {
	w.logs++
	return &log{id: fmt.Sprintf("stream-%d", w.logs), first: 1, up: true}
}

// loseTail forgets the newest n messages. Consumers live on or are reset.
func (w *world) loseTail(l *log, n int, lives func() bool) {
	w.trace("log %s loses %d of %d messages", l.id, n, l.last())
	w.oracle.lost(l.kept()[len(l.kept())-n:], died)
	l.messages = l.messages[: len(l.messages)-n : len(l.messages)-n]
	l.first, l.spoilt = min(l.first, l.last()+1), true
	for _, n := range w.nodes {
		if n.log == l && !lives() {
			n.hangUp()
		}
	}
}

// recreate puts an empty log in the place of l for everybody who uses it.
func (w *world) recreate(l *log) *log {
	fresh := w.newLog()
	w.trace("log %s is recreated as %s", l.id, fresh.id)
	for i, had := range w.sides {
		if had == l {
			w.sides[i] = fresh
		}
	}
	for _, n := range w.nodes {
		if n.log == l {
			n.hangUp()
		}
	}
	w.oracle.lost(l.kept(), died)
	return fresh
}

// valid is rule 15 as the checker sees it.
func (l *log) valid(s *events.State) bool {
	m := l.get(s.Seq())
	return s.StreamID == l.id && m != nil && m.Anchor() == s.Anchor
}
