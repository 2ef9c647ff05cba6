package sim_test

import (
	"slices"
	"time"

	"sluice/events"
)

// sessionMs is how long a session lasts that nothing ends: each tries to begin a log once.
const sessionMs = 60_000

// seed begins a log that has no genesis (rule 18).
func (n *node) seed() {
	if n.session == nil || n.session.Counted() || n.next <= n.log.last() {
		return
	}
	if n.core.State() == nil && len(n.w.checkpoints) > 0 {
		k := n.w.checkpoints[len(n.w.checkpoints)-1]
		n.adopt(events.Transfer{State: k.state.Clone()}, k.chain)
	}
	if n.seedAt == 0 {
		n.seedAt = n.w.now + n.w.upTo(10_000)
	}
	if n.seedAt > n.w.now {
		return
	}
	n.seedAt = n.w.now + n.w.upTo(10_000) + sessionMs
	peer := slices.ContainsFunc(n.w.nodes, func(o *node) bool { return o != n && n.hears(o) && o.core.State() != nil })
	g, obstacle := n.core.Genesis(events.Around{Listened: true, Waited: true, PeerHasState: peer}, n.wall())
	if obstacle != events.Unobstructed {
		return
	}
	if n.core.State() == nil {
		g.Params = n.w.params
	}
	n.publishGenesis(g)
}

func (n *node) publishGenesis(g events.Genesis) {
	w := n.w
	w.ids++
	g.ID = "genesis-" + n.log.id + "-" + time.Duration(w.ids).String()
	if s := n.core.State(); s != nil && s.Map.Digest() != g.Map.Digest() {
		w.fail("rule 18: n%d begins %s with %d entries, its state has %d", n.index, n.log.id, g.Map.Len(), s.Map.Len())
	}
	var writes []int
	for _, e := range g.Map.Sorted() {
		if i, ok := w.oracle.find(e); ok {
			writes = append(writes, i)
		}
	}
	w.trace("n%d begins %s with %d entries, ref %.3f", n.index, n.log.id, g.Map.Len(), seconds(g.Ref))
	chunks, err := g.Chunks(names)
	if err != nil {
		panic(err)
	}
	seqs := make([]uint64, len(chunks))
	for i, c := range chunks {
		if seqs[i] = w.publish(n, outgoing{Outgoing: c}); seqs[i] == 0 {
			return
		}
	}
	m, err := g.Message(names, seqs)
	if err != nil {
		panic(err)
	}
	w.publish(n, outgoing{Outgoing: m, begins: writes})
}
