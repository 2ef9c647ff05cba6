package crdt_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/crdt"
)

func TestMergeLaws(t *testing.T) {
	lists := rapid.SliceOfN(entries(), 0, 12)
	check := func(name string, law func(t *rapid.T)) {
		t.Run(name, func(t *testing.T) { rapid.Check(t, law) })
	}
	same := func(t *rapid.T, got, want *crdt.Map) {
		if diff := cmp.Diff(want.Sorted(), got.Sorted()); diff != "" || got.Digest() != want.Digest() {
			t.Fatalf("maps differ (-want +got):\n%s", diff)
		}
	}
	check("commutative", func(t *rapid.T) {
		a, b := mapOf(lists.Draw(t, "a")), mapOf(lists.Draw(t, "b"))
		same(t, union(a, b), union(b, a))
	})
	check("associative", func(t *rapid.T) {
		a, b, c := mapOf(lists.Draw(t, "a")), mapOf(lists.Draw(t, "b")), mapOf(lists.Draw(t, "c"))
		same(t, union(union(a, b), c), union(a, union(b, c)))
	})
	check("idempotent", func(t *rapid.T) {
		a := mapOf(lists.Draw(t, "a"))
		same(t, union(a, a), a)
	})
	check("any order of arrival", func(t *rapid.T) {
		list := lists.Draw(t, "list")
		same(t, mapOf(rapid.Permutation(list).Draw(t, "order")), mapOf(list))
	})
	check("keeps the greatest of each key", func(t *rapid.T) {
		list := lists.Draw(t, "list")
		m := mapOf(list)
		for _, e := range list {
			if held, ok := m.Get(e.Key); !ok || held.Compare(e) < 0 {
				t.Fatalf("holds %v, was given %v", held, e)
			}
		}
	})
}

func TestOrderIsStrictAndTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := entries().Draw(t, "a"), entries().Draw(t, "b"), entries().Draw(t, "c")
		b.Key, c.Key = a.Key, a.Key
		if a.Compare(b) != -b.Compare(a) {
			t.Fatalf("not antisymmetric: %v %v", a, b)
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Fatalf("not transitive: %v %v %v", a, b, c)
		}
		if (a.Compare(b) == 0) != cmp.Equal(a, b) {
			t.Fatalf("zero is not identity: %v %v", a, b)
		}
	})
}

func TestOrderOfEntries(t *testing.T) {
	stamp := crdt.Stamp{HLC: 7 << 16, Node: 1 << 63}
	ascending := []crdt.Entry{
		{Key: "k/a", Stamp: crdt.Stamp{HLC: 6 << 16, Node: 9 << 60}, Deleted: true},
		{Key: "k/a", Stamp: stamp, Value: []byte("{}")},
		{Key: "k/a", Stamp: stamp, Value: []byte("{}}")},
		{Key: "k/a", Stamp: stamp, Deleted: true},
		{Key: "k/a", Stamp: crdt.Stamp{HLC: 7 << 16, Node: 1<<63 + 1}, Value: []byte("{}")},
		{Key: "k/a", Stamp: crdt.Stamp{HLC: 7<<16 + 1, Node: 1}, Value: []byte("{}")},
	}
	for i := 1; i < len(ascending); i++ {
		if ascending[i-1].Compare(ascending[i]) >= 0 {
			t.Errorf("entry %d is not less than entry %d", i-1, i)
		}
	}
}

func TestDigestIsThatOfTheEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := crdt.NewMap()
		t.Repeat(map[string]func(*rapid.T){
			"merge":   func(t *rapid.T) { m.Merge(entries().Draw(t, "entry")) },
			"remove":  func(t *rapid.T) { m.Remove(entries().Draw(t, "entry").Key) },
			"collect": func(t *rapid.T) { m.Collect(rapid.Uint64Range(0, 6).Draw(t, "before")) },
			"clone":   func(*rapid.T) { m = m.Clone() },
			"": func(t *rapid.T) {
				var want uint64
				for e := range m.All() {
					want += e.Fingerprint()
				}
				if m.Digest() != want {
					t.Fatalf("digest %x, recomputed %x", m.Digest(), want)
				}
			},
		})
	})
}

func TestFingerprintTellsEveryFieldApart(t *testing.T) {
	base := crdt.Entry{Key: "k/ab", Stamp: crdt.Stamp{HLC: 1, Node: 2}, Value: []byte("cd")}
	seen := map[uint64]string{base.Fingerprint(): "base"}
	for name, change := range map[string]func(*crdt.Entry){
		"key":      func(e *crdt.Entry) { e.Key = "k/a" },
		"hlc":      func(e *crdt.Entry) { e.Stamp.HLC = 3 },
		"node":     func(e *crdt.Entry) { e.Stamp.Node = 3 },
		"deleted":  func(e *crdt.Entry) { e.Deleted = true },
		"value":    func(e *crdt.Entry) { e.Value = []byte("bcd") },
		"no value": func(e *crdt.Entry) { e.Value = nil },
	} {
		e := base
		change(&e)
		if other, ok := seen[e.Fingerprint()]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[e.Fingerprint()] = name
	}
	// Digests are compared between versions of the program.
	if got, want := base.Fingerprint(), uint64(0x8191f6d31f785897); got != want {
		t.Errorf("fingerprint %#x, want %#x: the form has changed", got, want)
	}
}

func TestMergeOutcome(t *testing.T) {
	m := crdt.NewMap()
	old := crdt.Entry{Key: "k/a", Stamp: crdt.Stamp{HLC: 1, Node: 1}, Value: []byte("{}")}
	newer := crdt.Entry{Key: "k/a", Stamp: crdt.Stamp{HLC: 2, Node: 1}, Deleted: true}
	for _, step := range []struct {
		entry crdt.Entry
		want  crdt.Outcome
	}{{old, crdt.Applied}, {old, crdt.Duplicate}, {newer, crdt.Applied}, {old, crdt.Beaten}} {
		if got := m.Merge(step.entry); got != step.want {
			t.Errorf("merge %v: %v, want %v", step.entry, got, step.want)
		}
	}
	if e, ok := m.Get("k/a"); !ok || e.Live() || m.Len() != 1 {
		t.Errorf("holds %v, %d entries; want the tombstone alone", e, m.Len())
	}
}

func TestCollectTakesOldTombstonesOnly(t *testing.T) {
	at := func(key string, ms uint64, deleted bool) crdt.Entry {
		return crdt.Entry{Key: key, Stamp: crdt.Stamp{HLC: ms<<16 | 5, Node: 1}, Deleted: deleted}
	}
	m := mapOf([]crdt.Entry{at("k/old", 9, true), at("k/at", 10, true), at("k/live", 1, false)})
	if n := m.Collect(10); n != 1 {
		t.Errorf("collected %d, want 1", n)
	}
	if _, ok := m.Get("k/old"); ok || m.Len() != 2 {
		t.Errorf("left %v", m.Sorted())
	}
}

func TestCloneIsIndependent(t *testing.T) {
	a := mapOf([]crdt.Entry{{Key: "k/a", Stamp: crdt.Stamp{HLC: 1, Node: 1}}})
	b := a.Clone()
	b.Remove("k/a")
	if a.Len() != 1 || b.Len() != 0 || b.Digest() != 0 {
		t.Errorf("original has %d, clone %d entries", a.Len(), b.Len())
	}
}

func TestMergeOfDuplicatesAllocatesNothing(t *testing.T) {
	e := crdt.Entry{Key: "k/a", Stamp: crdt.Stamp{HLC: 2, Node: 1}, Value: []byte("{}")}
	beaten := crdt.Entry{Key: "k/a", Stamp: crdt.Stamp{HLC: 1, Node: 1}, Value: []byte("{}")}
	m := mapOf([]crdt.Entry{e})
	if n := testing.AllocsPerRun(100, func() { m.Merge(e); m.Merge(beaten) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
