package sim_test

import (
	"fmt"
	"hash/maphash"
	"strings"
	"testing"

	"sluice/events/internal/rule"
)

// action is one step of the exhaustive search.
type action struct {
	name string
	do   func(*world)
}

// actions are all that can happen in the small world. Time stands still but for "age".
func actions() []action {
	list := []action{
		{"gossip", func(w *world) { w.meetEachOther() }},
		{"losetail", func(w *world) { w.loseNewest(1) }},
		{"losetail2", func(w *world) { w.loseNewest(2) }},
		{"recreate", func(w *world) { w.recreate(w.sides[0]) }},
		{"age", func(w *world) { w.pass(rMs*2/3 - 1000) }},
		{"tick", func(w *world) { w.tick(w.sides[0]) }},
		{"raw", func(w *world) { w.raw(w.sides[0], keys[0]) }},
		{"again", func(w *world) { w.again() }},
	}
	for i, name := range []string{"A", "B"} {
		list = append(list,
			action{"put" + name, func(w *world) { w.nodes[i].write(keys[0], false, false) }},
			action{"del" + name, func(w *world) { w.nodes[i].write(keys[0], true, false) }},
			action{"sync" + name, func(w *world) { w.nodes[i].sync() }},
			action{"crash" + name, func(w *world) { w.nodes[i].crash() }},
		)
	}
	return append(list, action{"checkpointA", func(w *world) {
		if n := w.nodes[0]; n.up() {
			n.wants = true
			n.audit()
			n.read(1 << 30)
		}
	}})
}

func (w *world) meetEachOther() {
	a, b := w.nodes[0], w.nodes[1]
	if a.up() && b.up() {
		a.group, b.group = 0, 0
		a.exchange(b)
		a.group, b.group = 0, 1
	}
}

func (w *world) loseNewest(n int) {
	if l := w.sides[0]; int(l.last()) >= n && l.first <= l.last()-uint64(n)+1 {
		w.loseTail(l, n, func() bool { return false })
	}
}

// fingerprint tells states of the small world apart.
func (w *world) fingerprint(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	l := w.sides[0]
	fmt.Fprint(&h, w.now, l.first, w.logs > 1)
	for _, m := range l.messages {
		h.WriteString(m.Subject)
		if !strings.Contains(m.Subject, ".ctl.") {
			h.Write(m.Data)
		}
		fmt.Fprint(&h, m.Time.UnixMilli())
	}
	for _, n := range w.nodes {
		if !n.up() {
			h.WriteString("down")
			continue
		}
		p := n.core.Position()
		fmt.Fprint(&h, p.StreamID == l.id, p.Anchor.Seq, p.Digest, n.chain == l.chainAt(p.Anchor.Seq), n.core.AcceptedDigest(), n.core.Online(), n.session == nil, n.next)
	}
	for _, k := range w.checkpoints {
		fmt.Fprint(&h, k.state.StreamID == l.id, k.state.Seq(), k.state.Map.Digest(), l.valid(k.state))
	}
	return h.Sum64()
}

// steps are numbers of actions.
type steps []uint8

func (p steps) String() string {
	names, all := make([]string, len(p)), actions()
	for i, s := range p {
		names[i] = all[s].name
	}
	return strings.Join(names, " ")
}

// searcher tries every sequence of actions, each state once, and judges each.
type searcher struct {
	broken rule.Set
	all    []action
	seed   maphash.Seed
	seen   map[uint64]bool
}

// search goes to a depth. It returns the number of states and the first violation.
func search(broken rule.Set, depth int) (states int, err error) {
	r := searcher{broken, actions(), maphash.MakeSeed(), map[uint64]bool{}}
	frontier := []steps{nil}
	for range depth {
		var next []steps
		for _, p := range frontier {
			for i := range r.all {
				longer := append(append(steps(nil), p...), uint8(i))
				known, err := r.try(longer)
				if known {
					continue
				}
				if states++; err != nil {
					return states, fmt.Errorf("%s: %w", longer, err)
				}
				next = append(next, longer)
			}
		}
		frontier = next
	}
	return states, nil
}

// try replays the steps in a new world; known: they lead to a state that was judged before.
func (r *searcher) try(p steps) (known bool, err error) {
	err = small(r.broken).violated(func(w *world) {
		for _, s := range p {
			r.all[s].do(w)
			w.pass(0)
		}
		f := w.fingerprint(r.seed)
		known, r.seen[f] = r.seen[f], true
		if known {
			panic(violation{"known"})
		}
	})
	return known, err
}

func TestSearch(t *testing.T) {
	states, err := search(0, *depthFlag)
	if err != nil {
		t.Error(err)
	}
	t.Logf("depth %d: %d states", *depthFlag, states)
}

// TestSearchFinds: the search notices broken rules, with the fewest steps that show them.
func TestSearchFinds(t *testing.T) {
	for broken, depth := range map[rule.Broken]int{
		rule.NoSid: 1, rule.NoAnchor: 1, rule.NoLast: 1, rule.NoFoldDrop: 1, rule.NoP: 1,
		rule.GenOnlyAtZero: 2, rule.GenForgetsEarlier: 2, rule.TieKeepsFirst: 2, rule.DurableWins: 2, rule.CollectEarly: 2,
		rule.CkptNoAnchor: 2, rule.RawNoPlus: 3, rule.NoSweep: 3, rule.NoVisPlus: 3, rule.OwnerOnly: 3, rule.LocalExpiry: 3,
		rule.NoReofferD: 3, rule.AnchorNoTime: 4, rule.NoReofferTomb: 4, rule.FoldNoExpiry: 4,
	} {
		if slow && depth > 3 {
			continue
		}
		t.Run(broken.String(), func(t *testing.T) {
			states, err := search(rule.Of(broken), depth)
			if err == nil {
				t.Fatalf("nothing found in %d states of depth %d", states, depth)
			}
			t.Logf("state %d: %v", states, err)
		})
	}
}
