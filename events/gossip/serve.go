package gossip

import (
	"slices"
	"strings"

	"sluice/events"
)

// maxMarks bounds the marks of one answer.
const maxMarks = 2000

// serve answers one question of another replica.
func (x *Exchange) serve(q request) response {
	switch q.Op {
	case opCompare:
		return x.compare(q)
	case opFetch:
		return x.handOut(q.Keys)
	case opPush:
		return x.take(q.Events)
	case opState:
		return x.states.open(x.store)
	case opRead:
		return x.states.read(q.ID, q.Offset)
	case opDone:
		x.states.drop(q.ID)
		return response{}
	}
	return response{Error: "this replica does not know what it is asked for: run one version everywhere"}
}

// compare tells where this replica is, and what it holds if that is not what the other has.
func (x *Exchange) compare(q request) response {
	x.store.Compare(q.Name, q.Position.value())
	out := response{Position: newPosition(x.store.Position()), Digest: x.store.AcceptedDigest()}
	if out.Digest == q.Digest {
		return out
	}
	list := x.store.Accepted()
	from, found := slices.BinarySearchFunc(list, q.After, func(e events.Event, key string) int { return strings.Compare(e.Subject, key) })
	if found {
		from++
	}
	rest := list[from:]
	for _, e := range rest[:min(len(rest), maxMarks)] {
		out.Marks = append(out.Marks, newMark(e))
	}
	out.More = len(rest) > maxMarks
	return out
}

// handOut gives the events of the keys, as many as a page takes.
func (x *Exchange) handOut(keys []string) response {
	wanted := make(map[string]bool, len(keys))
	for _, k := range keys {
		wanted[k] = true
	}
	list := slices.DeleteFunc(x.store.Accepted(), func(e events.Event) bool { return !wanted[e.Subject] })
	data, n := page(list, x.skip)
	return response{Events: data, More: n < len(list)}
}

func (x *Exchange) take(data []byte) response {
	if err := x.admit(data); err != nil {
		return response{Error: err.Error()}
	}
	return response{}
}
