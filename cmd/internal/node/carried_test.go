package node

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/proxy"
)

func versionOf(name string, hlc int) *crdt.Entry {
	return &crdt.Entry{Key: service.Key(name), Stamp: crdt.Stamp{HLC: uint64(hlc), Node: 1}, Value: fmt.Appendf(nil, `{"v":%d}`, hlc)}
}

// TestCarriedIsMadeOnce: the values are always those of the listing, and of one that has not
// changed they are not made again, unless it is left out.
func TestCarriedIsMadeOnce(t *testing.T) {
	names := []string{"a", "b", "c", "d", "no name", "z"}
	rapid.Check(t, func(t *rapid.T) {
		made := map[*crdt.Entry]int{}
		c := carried[proxy.Item]{make: func(e *crdt.Entry) (proxy.Item, bool) {
			it, ok := item(e)
			if ok {
				made[e]++
			}
			return it, ok
		}}
		held := map[string]*crdt.Entry{}
		var before, kept []proxy.Item
		for i := range rapid.IntRange(1, 20).Draw(t, "listings") {
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(t, "changes") {
				if held[name] = versionOf(name, i+1); rapid.Bool().Draw(t, "remove") {
					delete(held, name)
				}
			}
			var listing []*crdt.Entry
			var want []proxy.Item
			for _, name := range slices.Sorted(maps.Keys(held)) {
				listing = append(listing, held[name])
				if it, ok := item(held[name]); ok {
					want = append(want, it)
				}
			}
			got := c.of(listing)
			if again := c.of(listing); len(got) != len(want) || len(want) > 0 && !cmp.Equal(got, want) || !cmp.Equal(again, got) {
				t.Fatalf("got %v, again %v, want %v", got, again, want)
			}
			if !cmp.Equal(before, kept) {
				t.Fatalf("what was handed out before is changed: %v, was %v", before, kept)
			}
			before, kept = got, slices.Clone(got)
		}
		for e, n := range made {
			if n != 1 {
				t.Fatalf("%s was made %d times", e.Key, n)
			}
		}
	})
}

func TestUnchangedItemsAreShared(t *testing.T) {
	c := carried[proxy.Item]{make: item}
	a, b := versionOf("a", 1), versionOf("b", 1)
	first := c.of([]*crdt.Entry{a, b})
	second := c.of([]*crdt.Entry{a, versionOf("b", 2)})
	if unsafe.StringData(first[0].Version) != unsafe.StringData(second[0].Version) || &first[0].Value[0] != &second[0].Value[0] {
		t.Error("version or value was made again")
	}
	if second[1].Version == first[1].Version {
		t.Error("the new version is not seen")
	}
}

// BenchmarkItems is the proxy's look at the services after one of them has changed.
func BenchmarkItems(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			listing := make([]*crdt.Entry, n)
			for i := range listing {
				listing[i] = versionOf(fmt.Sprintf("service-%06d", i), 1)
			}
			c := carried[proxy.Item]{make: item}
			c.of(listing)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				listing = slices.Clone(listing)
				listing[i%n] = versionOf(fmt.Sprintf("service-%06d", i%n), i+2)
				if items := c.of(listing); len(items) != n {
					b.Fatal(len(items))
				}
			}
		})
	}
}
