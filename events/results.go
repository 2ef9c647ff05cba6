package events

import "sluice/crdt"

// results remembers what the fold made of the events of one lineage, for the
// log view. Only the exceptions are kept, the newest maxResults of them.
type results struct {
	from   uint64 // first sequence folded by this lineage
	odd    map[uint64]verdict
	oldest []uint64
}

type verdict struct {
	result Result
	reason string
	rival  crdt.Stamp // zero: none
}

const maxResults = 10_000

func newResults() *results { return &results{odd: map[uint64]verdict{}} }

func (r *results) record(e Effect) {
	if r.from == 0 || e.Seq < r.from {
		r.from = e.Seq
	}
	rival := e.rival()
	if e.Result == ResultApplied && rival.IsZero() {
		return
	}
	if len(r.oldest) == maxResults {
		delete(r.odd, r.oldest[0])
		r.from = max(r.from, r.oldest[0]+1)
		r.oldest = r.oldest[1:]
	}
	r.odd[e.Seq] = verdict{e.Result, e.Reason, rival}
	r.oldest = append(r.oldest, e.Seq)
}

// of is the verdict on seq; the empty one if it was not folded here or is forgotten.
func (r *results) of(seq, folded uint64) verdict {
	if r.from == 0 || seq < r.from || seq > folded {
		return verdict{}
	}
	if v, ok := r.odd[seq]; ok {
		return v
	}
	return verdict{result: ResultApplied}
}
