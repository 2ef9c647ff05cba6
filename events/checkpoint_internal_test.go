package events

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// checkpointsAt are valid ones at these sequences.
func checkpointsAt(seqs ...uint64) checkpoints {
	var c checkpoints
	for _, seq := range seqs {
		c.valid = append(c.valid, Checkpoint{StreamID: "log", Anchor: Anchor{Seq: seq}})
	}
	return c.sorted()
}

func (c checkpoints) seqs() []uint64 {
	var out []uint64
	for _, v := range c.valid {
		out = append(out, v.Anchor.Seq)
	}
	return out
}

// Whatever is forgotten and trimmed, the newest three checkpoints stay, the log has their
// positions, and everything that is kept can be folded on from (rules 20 and 21).
func TestCheckpointsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seqs := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 1000), 0, 30, rapid.ID).Draw(t, "seqs")
		kept := checkpointsAt(seqs...)
		kept.rest = []Checkpoint{{Name: "foreign", StreamID: "other"}, {Name: "unfinished", Taken: time.Now()}}
		info := LogInfo{
			First: 1, Last: 1000 + rapid.Uint64Range(0, 1000).Draw(t, "more"), MaxBytes: 1 << 20,
			Bytes: rapid.Uint64Range(0, 1<<20).Draw(t, "bytes"),
		}
		forgotten, first, all := kept.surplus(time.Now()), kept.trimAt(info), kept.seqs()
		if len(all) < checkpointsKept {
			if len(forgotten) > 0 || first != 0 {
				t.Fatalf("with %v: forgets %v, trims at %d", all, forgotten, first)
			}
			return
		}
		if want := max(0, len(all)-checkpointsMost) + 1; len(forgotten) != want || forgotten[0].Name != "foreign" {
			t.Fatalf("of %v and a foreign one forgets %v", all, forgotten)
		}
		newest := all[len(all)-checkpointsKept:]
		for _, c := range forgotten[1:] {
			if slices.Contains(append(newest, all[0]), c.Anchor.Seq) {
				t.Fatalf("of %v forgets %d", all, c.Anchor.Seq)
			}
		}
		switch full := info.Bytes > info.MaxBytes/2; {
		case (first > 0) != full:
			t.Fatalf("of %v trims at %d a log of %d bytes", all, first, info.Bytes)
		case first > newest[0], full && !slices.Contains(all, first):
			t.Fatalf("of %v trims at %d", all, first)
		}
	})
}

func TestTwoCheckpointsOfOnePosition(t *testing.T) {
	kept := checkpointsAt(10, 20, 20, 30)
	if got := kept.surplus(time.Now()); !slices.Equal(kept.seqs(), []uint64{10, 20, 30}) || len(got) != 1 || got[0].Anchor.Seq != 20 {
		t.Errorf("keeps %v, forgets %v", kept.seqs(), got)
	}
	if got := checkpointsAt(10, 20, 20).surplus(time.Now()); got != nil {
		t.Errorf("of two positions forgets %v", got)
	}
}

func TestSurplusIsWhereManyStand(t *testing.T) {
	kept := checkpointsAt(10, 100, 200, 201, 300, 400, 500, 600, 700)
	got := kept.surplus(time.Now())
	if len(got) != 1 || got[0].Anchor.Seq != 200 && got[0].Anchor.Seq != 201 {
		t.Errorf("forgets %v", got)
	}
}

func TestTrimsNoMoreThanNeeded(t *testing.T) {
	kept := checkpointsAt(100, 400, 700, 800, 900, 1000)
	for bytes, want := range map[uint64]uint64{400: 0, 500: 0, 510: 400, 1000: 700, 1600: 800} {
		if got := kept.trimAt(LogInfo{First: 1, Last: 1000, Bytes: bytes, MaxBytes: 1000}); got != want {
			t.Errorf("a log of %d bytes is trimmed at %d, want %d", bytes, got, want)
		}
	}
	if got := kept.trimAt(LogInfo{First: 1, Last: 1000, Bytes: 1 << 40}); got != 0 {
		t.Errorf("a log without limit is trimmed at %d", got)
	}
}

func TestCheckpointIsDue(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	info := LogInfo{First: 1, Last: 1000, Bytes: 1000, MaxBytes: 1600}
	for _, c := range []struct {
		name  string
		seqs  []uint64
		age   time.Duration
		state uint64
		bytes uint64
		due   bool
	}{
		{"none yet", nil, 0, 1, 0, true},
		{"no step further", []uint64{500}, time.Hour, 500, 0, false},
		{"a branch that went less far", []uint64{500}, time.Hour, 400, 0, false},
		{"too few, and some time went by", []uint64{500}, 11 * time.Minute, 501, 0, true},
		{"too few, just made", []uint64{500}, time.Minute, 501, 0, false},
		{"old, and little happened", []uint64{300, 400, 500}, 2 * time.Hour, 510, 0, false},
		{"old, and more happened", []uint64{300, 400, 500}, time.Hour, 600, 0, true},
		{"young, and very much happened", []uint64{300, 400, 500}, time.Minute, 601, 0, true},
		{"young", []uint64{300, 400, 500}, 59 * time.Minute, 590, 0, false},
		{"young, and few large messages came", []uint64{300, 400, 500}, time.Minute, 502, 100, true},
	} {
		kept := checkpointsAt(c.seqs...)
		for i := range kept.valid {
			kept.valid[i].Taken = now.Add(-c.age)
		}
		if got := kept.due(c.state, c.bytes, info, now, time.Hour); got != c.due {
			t.Errorf("%s: due %v", c.name, got)
		}
	}
}
