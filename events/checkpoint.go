package events

import (
	"math"
	"slices"
	"time"
)

const (
	// checkpointsKept is how many valid checkpoints there have to be beyond the trimmed head.
	checkpointsKept = 3
	// checkpointsMost bounds how many are kept.
	checkpointsMost = 8
	// growth is by which part of its limit a log has to grow for the next checkpoint.
	growth = 1.0 / 16
	// worthwhile is by how many messages a state must have gone on to be kept again, if they are few bytes.
	worthwhile = 100
)

// checkpoints are those that the log has been found to hold the positions of: valid ones, one
// a position, oldest first, and the rest.
type checkpoints struct{ valid, rest []Checkpoint }

// sorted puts a valid list in order and moves what stands twice to the rest.
func (c checkpoints) sorted() checkpoints {
	slices.SortStableFunc(c.valid, func(a, b Checkpoint) int { return int(min(max(int64(a.Anchor.Seq)-int64(b.Anchor.Seq), -1), 1)) })
	once := c.valid[:0:0]
	for i, v := range c.valid {
		if i > 0 && v.Anchor.Seq == c.valid[i-1].Anchor.Seq {
			c.rest = append(c.rest, v)
		} else {
			once = append(once, v)
		}
	}
	c.valid = once
	return c
}

// newest is the position of the newest valid one; 0: there is none.
func (c checkpoints) newest() uint64 {
	if len(c.valid) == 0 {
		return 0
	}
	return c.valid[len(c.valid)-1].Anchor.Seq
}

// due decides whether the state at seq is worth a checkpoint: always while there are too few, then
// when it is old, or when much was logged since, that is bytes as far as they were counted.
func (c checkpoints) due(seq, bytes uint64, info LogInfo, now time.Time, every time.Duration) bool {
	if len(c.valid) == 0 {
		return true
	}
	newest := c.valid[len(c.valid)-1]
	if seq <= newest.Anchor.Seq {
		return false
	}
	age, grown := now.Sub(newest.Taken), seq-newest.Anchor.Seq
	switch {
	case info.MaxBytes > 0 && max(info.share(grown), float64(bytes)) >= float64(info.MaxBytes)*growth:
		return true
	case len(c.valid) < checkpointsKept:
		return age >= every/6
	}
	return grown >= worthwhile && age >= every
}

// unreadable is for how long a checkpoint that cannot be read may be one that is being written.
const unreadable = 10 * time.Minute

// surplus are the checkpoints that can be forgotten: those of other logs or lost branches, and
// where there are many, those that stand closest to their neighbours. The newest three, and the
// oldest, from which the whole of the log can be folded, always stay.
func (c checkpoints) surplus(now time.Time) []Checkpoint {
	if len(c.valid) < checkpointsKept {
		return nil
	}
	valid := slices.Clone(c.valid)
	out := slices.DeleteFunc(slices.Clone(c.rest), func(r Checkpoint) bool {
		return r.StreamID == "" && now.Sub(r.Taken) < unreadable
	})
	for len(valid) > checkpointsMost {
		densest, least := 0, uint64(math.MaxUint64)
		for i := 1; i < len(valid)-checkpointsKept; i++ {
			if gap := valid[i+1].Anchor.Seq - valid[i-1].Anchor.Seq; gap < least {
				densest, least = i, gap
			}
		}
		out = append(out, valid[densest])
		valid = slices.Delete(valid, densest, densest+1)
	}
	return out
}

// trimAt is the first sequence that a log which is more than half full has to keep; 0: keep all.
// As much stays as is less than 3/8 of the limit, and more if the checkpoints ask for it.
func (c checkpoints) trimAt(info LogInfo) uint64 {
	if info.MaxBytes == 0 || info.Bytes <= info.MaxBytes/2 {
		return 0
	}
	seqs := make([]uint64, len(c.valid))
	for i, v := range c.valid {
		seqs[i] = v.Anchor.Seq
	}
	limit := TrimPoint(seqs)
	for _, seq := range seqs {
		if seq >= limit || info.share(info.Last-seq) < float64(info.MaxBytes)*3/8 {
			return min(seq, limit)
		}
	}
	return 0
}

// share estimates the bytes of n of the log's messages.
func (i LogInfo) share(n uint64) float64 {
	if i.Last < i.First {
		return 0
	}
	return float64(i.Bytes) * float64(n) / float64(i.Last-i.First+1)
}

// TrimPoint is the first sequence that a log has to keep (rule 21): that of the third newest
// of the valid checkpoints, whose positions are given in any order, one a checkpoint. 0: keep all.
func TrimPoint(valid []uint64) uint64 {
	if len(valid) < checkpointsKept {
		return 0
	}
	sorted := slices.Clone(valid)
	slices.Sort(sorted)
	return sorted[len(sorted)-checkpointsKept]
}
