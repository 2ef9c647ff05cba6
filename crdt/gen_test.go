package crdt_test

import (
	"pgregory.net/rapid"

	"sluice/crdt"
)

// entries draws entries from few keys, stamps and values, so that ties and duplicates
// are common.
func entries() *rapid.Generator[crdt.Entry] {
	return rapid.Custom(func(t *rapid.T) crdt.Entry {
		e := crdt.Entry{
			Key: "service/" + rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name"),
			Stamp: crdt.Stamp{
				HLC:  rapid.Uint64Range(1, 5).Draw(t, "ms") << 16,
				Node: rapid.Uint64Range(1, 3).Draw(t, "node"),
			},
			Deleted: rapid.Bool().Draw(t, "deleted"),
		}
		if !e.Deleted {
			e.Value = []byte(rapid.SampledFrom([]string{"{}", `{"a":1}`, `{"b":2}`}).Draw(t, "value"))
		}
		return e
	})
}

func mapOf(list []crdt.Entry) *crdt.Map {
	m := crdt.NewMap()
	for _, e := range list {
		m.Merge(e)
	}
	return m
}

func union(a, b *crdt.Map) *crdt.Map {
	m := a.Clone()
	for e := range b.All() {
		m.Merge(e)
	}
	return m
}
