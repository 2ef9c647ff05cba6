package proxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// wildcardFiles begin the names of the maps of wildcards.
const wildcardFiles = "maps/wildcards-"

// wildLookup is one step of finding the narrowest wildcard of a host.
type wildLookup struct {
	labels int
	dotted bool // the pattern starts with "*."
	keys   []string
}

// wildLookups are ordered from the longest possible ending to the shortest.
func wildLookups(wild map[string]int) []wildLookup {
	steps := map[[2]int]*wildLookup{}
	for pattern := range wild {
		ending, dotted := strings.CutPrefix(pattern[1:], ".")
		if ending == "" {
			continue
		}
		id := [2]int{strings.Count(ending, ".") + 1, 0}
		if dotted {
			id[1] = 1
		}
		if steps[id] == nil {
			steps[id] = &wildLookup{labels: id[0], dotted: dotted}
		}
		steps[id].keys = append(steps[id].keys, ending)
	}
	list := make([]wildLookup, 0, len(steps))
	for _, step := range steps {
		slices.SortFunc(step.keys, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
		list = append(list, *step)
	}
	slices.SortFunc(list, func(a, b wildLookup) int {
		return cmp.Or(cmp.Compare(b.labels, a.labels), boolOrder(b.dotted, a.dotted))
	})
	return list
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (w *wildLookup) file() string {
	kind := "ending"
	if w.dotted {
		kind = "below"
	}
	return wildcardFiles + kind + "-" + strconv.Itoa(w.labels) + ".map"
}

func (w *wildLookup) lines() map[string]string {
	star := "*"
	if w.dotted {
		star = "*."
	}
	lines := make(map[string]string, len(w.keys))
	for _, key := range w.keys {
		lines[key] = star + key
	}
	return lines
}
