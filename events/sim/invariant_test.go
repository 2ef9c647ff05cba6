package sim_test

import (
	"slices"

	"sluice/crdt"
	"sluice/events"
)

// holding looks up what n has of key.
func (o *oracle) holding(n *node, key string) holding {
	h := nothing
	s, p := n.core.State(), n.core.Pending()
	if s != nil {
		if e, ok := s.Map.Get(key); ok {
			h[inState] = o.must(n, e)
		}
	}
	if p.Len() == 0 {
		return h
	}
	if e, ok := events.Visible(nil, p, key); ok {
		h[inAccepted] = o.must(n, e)
	}
	if e, ok := p.Get(key); ok && !e.Accepted {
		h[inUnderway] = o.must(n, e.Entry)
	}
	return h
}

func (o *oracle) must(n *node, e crdt.Entry) int {
	i, ok := o.find(e)
	if !ok {
		o.w.fail("n%d holds %v, which nobody wrote", n.index, e)
	}
	return i
}

// look asserts the invariants of one replica after something happened to it.
func (o *oracle) look(n *node) {
	if !n.up() {
		return
	}
	s, before := n.core.State(), n.seen
	n.seen = seen{valid: true, pending: n.core.Pending().Len()}
	if s != nil {
		n.seen.digest = s.Map.Digest()
		o.sameState(n, s)
	}
	if n.seen == before && n.seen.pending == 0 {
		return
	}
	for k, key := range keys[:o.w.keys] {
		now, was := o.holding(n, key), n.held[k]
		if was == (holding{}) {
			was = nothing
		}
		if now != was {
			o.moved(n, s, was, now)
			n.held[k] = now
		}
		o.pending(n, s, now)
		if now != was || now[inAccepted] >= 0 {
			o.visible(n, key, now)
		}
	}
	o.notFuture(n, s)
}

// seen tells whether there is anything to look at again.
type seen struct {
	valid   bool
	pending int
	digest  uint64
}

// moved is I3 and I4: what was there is there, or superseded by something greater that is,
// or reported, or a tombstone that may be collected, or refused.
func (o *oracle) moved(n *node, s *events.State, was, now holding) {
	for place, g := range was {
		if g < 0 || slices.Contains(now[:], g) {
			continue
		}
		w := &o.writes[g]
		greater := slices.IndexFunc(now[:], func(h int) bool { return h >= 0 && o.writes[h].entry.Compare(w.entry) > 0 })
		collected := place == inState && w.entry.Deleted && s != nil && expired(s, w.entry)
		switch {
		case greater >= 0:
			if h := now[greater]; !slices.Contains(w.beatenBy, h) {
				w.beatenBy = append(w.beatenBy, h)
			}
		case collected:
			w.collected = true
		case w.reported && place == inState && !w.entry.Deleted:
			o.outOfState++
		case w.reported || w.refused:
		case place == inUnderway && !w.accepted: // a later one took its place and was refused
		default:
			o.w.fail("I3: n%d has lost %s without a word, it has now %s", n.index, o.describe(g), o.describe(max(now[inState], now[inAccepted])))
		}
	}
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
			o.w.fail("I7: n%d has pending %s over %s at ref %.3f", n.index, o.describe(i), o.describe(d), float64(int64(s.Ref)-begin)/1000)
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

// sameState is I1: who folded the same messages has the same state.
func (o *oracle) sameState(n *node, s *events.State) {
	if n.chain == 0 {
		return
	}
	digest := s.Map.Digest() + s.Ref
	if other, ok := o.digests[n.chain]; ok && other != digest {
		o.w.fail("I1: n%d has another state at %d of %s than a replica that folded the same", n.index, s.Seq(), s.StreamID)
	}
	o.digests[n.chain] = digest
}

// notFuture is rule 5 as the checker sees it: nothing got into a state before its time.
func (o *oracle) notFuture(n *node, s *events.State) {
	if s == nil {
		return
	}
	for e := range s.Map.All() {
		if int64(e.Stamp.Millis()) > int64(s.Ref)+s.Params.F.Milliseconds() {
			o.w.fail("n%d has folded %s at ref %.3f, which is the future", n.index, o.describe(o.must(n, e)), float64(int64(s.Ref)-begin)/1000)
		}
	}
}
