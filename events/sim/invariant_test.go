package sim_test

import (
	"slices"

	"sluice/crdt"
	"sluice/events"
)

// holding looks up what n has of key; was is what it had.
func (o *oracle) holding(n *node, key string, was holding) holding {
	h := nothing
	s, p := n.core.State(), n.core.Pending()
	if s != nil {
		if e, ok := s.Map.Get(key); ok {
			h[inState] = o.still(n, e, was[inState])
		}
	}
	if p.Len() == 0 {
		return h
	}
	switch e, ok := p.Get(key); {
	case !ok:
	case e.Accepted:
		h[inAccepted] = o.still(n, e.Entry, was[inAccepted])
	default:
		h[inUnderway] = o.still(n, e.Entry, was[inUnderway])
		if e, ok := events.Visible(nil, p, key); ok {
			h[inAccepted] = o.still(n, e, was[inAccepted])
		}
	}
	return h
}

// still is must, quick if e is what was there before.
func (o *oracle) still(n *node, e crdt.Entry, was int) int {
	if was >= 0 && o.writes[was].entry.Compare(e) == 0 {
		return was
	}
	return o.must(n, e)
}

func (o *oracle) must(n *node, e crdt.Entry) int {
	i, ok := o.find(e)
	if !ok {
		o.w.fail("n%d holds %v, which nobody wrote", n.index, e)
	}
	return i
}

// look asserts the invariants of one replica after something happened to it.
func (o *oracle) look(n *node) { o.lookAt(n, keys[:o.w.keys]...) }

// lookAt is look after something that concerns few keys. The others are looked at too unless
// sums show that they are what they were.
func (o *oracle) lookAt(n *node, touched ...string) {
	if !n.up() {
		return
	}
	s, before := n.core.State(), n.seen
	n.seen = seen{valid: true, pending: n.core.Pending().Len()}
	if s != nil {
		n.seen.digest, n.seen.ref, n.seen.chain = s.Map.Digest(), s.Ref, n.chain
	}
	if n.seen == before && n.seen.pending == 0 {
		return
	}
	for _, key := range touched {
		o.lookAtKey(n, s, key)
	}
	if !o.complete(n, s) {
		for _, key := range keys[:o.w.keys] {
			o.lookAtKey(n, s, key)
		}
	}
	for _, h := range n.held[:o.w.keys] {
		o.pending(n, s, h)
	}
	if s != nil && n.seen.state != before.state {
		o.state(n, s)
	}
}

func (o *oracle) lookAtKey(n *node, s *events.State, key string) {
	k := slices.Index(keys, key)
	was := n.held[k]
	if now := o.holding(n, key, was); now != was {
		o.moved(n, s, was, now)
		n.held[k] = now
		o.visible(n, key, now)
	}
}

// complete reports whether what n is known to hold is as much as it holds.
func (o *oracle) complete(n *node, s *events.State) bool {
	digest, pending := uint64(0), 0
	for _, h := range n.held[:o.w.keys] {
		if h[inState] >= 0 {
			digest += o.writes[h[inState]].fingerprint
		}
		for _, i := range h[inAccepted:] {
			if i >= 0 {
				pending++
			}
		}
	}
	return pending == n.seen.pending && (s == nil || digest == n.seen.digest)
}

// glance is look if there is a sign that something happened; what that misses the next look
// finds.
func (o *oracle) glance(n *node) {
	s := n.core.State()
	if n.core.Pending().Len() != n.seen.pending || s != nil && s.Map.Digest() != n.seen.digest {
		o.look(n)
	}
}

// seen tells whether there is anything to look at again.
type seen struct {
	valid   bool
	pending int
	state
}

type state struct{ digest, ref, chain uint64 }

// moved follows the copies that n has of one key.
func (o *oracle) moved(n *node, s *events.State, was, now holding) {
	if n.index == len(o.w.nodes) { // a newcomer, who is only asked
		return
	}
	for _, i := range now {
		if i >= 0 {
			o.copied(i)
		}
	}
	for place, g := range was {
		switch {
		case g < 0:
		case slices.Contains(now[:], g):
			o.gone(g, givenUp) // not the last copy
		default:
			o.left(n, s, place, g, now)
		}
	}
}

// begun is rule 7: what the genesis brought is in the state that began with it, however old.
func (o *oracle) begun(n *node) {
	s := n.core.State()
	for _, i := range n.begins {
		w := &o.writes[i]
		if e, ok := s.Map.Get(w.entry.Key); ok && e.Compare(w.entry) >= 0 {
			continue
		}
		if collected := w.entry.Deleted && expired(s, w.entry) || o.collectedOver(w, w.key, s); !collected {
			o.w.fail("n%d begins %s without %s, which its genesis has", n.index, s.StreamID, o.describe(i))
		}
	}
	n.begins = nil
}

// left is I3 and I4: what was there is superseded by something greater that is, or reported,
// or a tombstone that may be collected, or refused.
func (o *oracle) left(n *node, s *events.State, place, g int, now holding) {
	w := &o.writes[g]
	greater := slices.IndexFunc(now[:], func(h int) bool { return h >= 0 && o.writes[h].entry.Compare(w.entry) > 0 })
	if greater >= 0 {
		o.goneFor(g, now[greater])
		return
	}
	collected := place == inState && w.entry.Deleted && s != nil && expired(s, w.entry)
	switch {
	case collected:
		w.collected = true
	case w.reported && place == inState && !w.entry.Deleted:
		o.outOfState++
	case w.reported || w.refused:
	case place == inUnderway && !w.accepted: // a later one took its place and was refused
	default:
		o.w.fail("I3: n%d has lost %s without a word, it has now %s", n.index, o.describe(g), o.describe(max(now[inState], now[inAccepted])))
	}
	o.gone(g, givenUp)
}

func expired(s *events.State, e crdt.Entry) bool {
	return int64(e.Stamp.Millis()) < int64(s.Ref)-s.Params.R.Milliseconds()
}

// pending is I7: nothing pending is beaten by the state or older than R.
func (o *oracle) pending(n *node, s *events.State, now holding) {
	if s == nil {
		return
	}
	for _, i := range now[inAccepted:] {
		if i < 0 {
			continue
		}
		e := o.writes[i].entry
		if d := now[inState]; d >= 0 && o.writes[d].entry.Compare(e) >= 0 || expired(s, e) {
			o.w.fail("I7: n%d has pending %s over %s at ref %.3f", n.index, o.describe(i), o.describe(d), seconds(s.Ref))
		}
	}
}

// visible is the greater one of the state and what is accepted.
func (o *oracle) visible(n *node, key string, now holding) {
	want := now[inState]
	if a := now[inAccepted]; a >= 0 && (want < 0 || o.writes[a].entry.Compare(o.writes[want].entry) > 0) {
		want = a
	}
	got, ok := n.core.Visible(key)
	if ok != (want >= 0) || ok && got.Compare(o.writes[want].entry) != 0 {
		o.w.fail("n%d shows %v, want %s", n.index, got, o.describe(want))
	}
}

// state looks at a state that is not the one it was: who folded the same messages has the
// same one (I1), its digest is that of its entries (I9), and nothing got into it before its
// time (rule 5).
func (o *oracle) state(n *node, s *events.State) {
	digest, entries := uint64(0), 0
	for _, h := range n.held[:o.w.keys] {
		if h[inState] < 0 {
			continue
		}
		w := &o.writes[h[inState]]
		digest, entries = digest+w.fingerprint, entries+1
		if int64(w.entry.Stamp.Millis()) > int64(s.Ref)+s.Params.F.Milliseconds() {
			o.w.fail("n%d has folded %s at ref %.3f, which is the future", n.index, o.describe(h[inState]), seconds(s.Ref))
		}
	}
	if digest != s.Map.Digest() || entries != s.Map.Len() {
		o.w.fail("I9: n%d has the digest %x of %d entries, they are %d and give %x", n.index, s.Map.Digest(), s.Map.Len(), entries, digest)
	}
	if n.chain == 0 {
		return
	}
	digest += s.Ref
	if other, ok := o.digests[n.chain]; ok && other != digest {
		o.w.fail("I1: n%d has another state at %d of %s than a replica that folded the same", n.index, s.Seq(), s.StreamID)
	}
	o.digests[n.chain] = digest
}
