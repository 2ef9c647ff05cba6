package node

import "sluice/crdt"

// carried turns the entries of a listing into values, and makes anew only those of entries
// that were not in the listing before: one that has not changed is the same pointer. It is
// not safe for concurrent use.
type carried[T any] struct {
	// make gives the value of an entry; false leaves the entry out.
	make func(e *crdt.Entry) (T, bool)

	listing []*crdt.Entry // as it was last given
	entries []*crdt.Entry // what values are of
	values  []T
}

// of are the values of a listing, in its order. What it returned before stays as it is, and
// nobody may change it.
func (c *carried[T]) of(listing []*crdt.Entry) []T {
	if len(listing) == len(c.listing) && (len(listing) == 0 || &listing[0] == &c.listing[0]) {
		return c.values
	}
	old, values := c.entries, c.values
	c.listing = listing
	c.entries, c.values = make([]*crdt.Entry, 0, len(listing)), make([]T, 0, len(listing))
	for i, j := 0, 0; i < len(listing); {
		n := alike(listing[i:], old[j:])
		c.entries, c.values = append(c.entries, old[j:j+n]...), append(c.values, values[j:j+n]...)
		if i, j = i+n, j+n; i == len(listing) {
			break
		}
		e := listing[i]
		for j < len(old) && old[j].Key < e.Key {
			j++
		}
		if j < len(old) && old[j] == e {
			continue
		}
		if v, ok := c.make(e); ok {
			c.entries, c.values = append(c.entries, e), append(c.values, v)
		}
		i++
	}
	return c.values
}

// alike is how many entries both lists begin with.
func alike(a, b []*crdt.Entry) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
