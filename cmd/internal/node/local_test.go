package node

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/proxy"
)

// fixed is a state that does not change.
type fixed []proxy.Item

func (f fixed) Desired() proxy.Desired   { return proxy.Desired{Items: f} }
func (f fixed) Changed() <-chan struct{} { return nil }

// The state's services go before those of the environment, and its listing is shared: it must
// stay as it is, spare room behind it included.
func TestLocalServicesLieBelowTheState(t *testing.T) {
	items := func(version string, names ...string) []proxy.Item {
		list := make([]proxy.Item, 0, 8)
		for _, name := range names {
			list = append(list, proxy.Item{Name: name, Version: version})
		}
		return list
	}
	for name, c := range map[string]struct{ state, local, want []proxy.Item }{
		"between":        {items("s", "b", "d"), items("e", "a", "c", "e"), slices.Concat(items("e", "a"), items("s", "b"), items("e", "c"), items("s", "d"), items("e", "e"))},
		"the same name":  {items("s", "b"), items("e", "b"), items("s", "b")},
		"no state":       {items("s"), items("e", "a", "b"), items("e", "a", "b")},
		"no environment": {items("s", "a"), items("e"), items("s", "a")},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.state[:cap(c.state)])
			got := layered{fixed(c.state), c.local}.Desired().Items
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			if !cmp.Equal(before, c.state[:cap(c.state)]) {
				t.Error("the state's listing was changed")
			}
		})
	}
}
