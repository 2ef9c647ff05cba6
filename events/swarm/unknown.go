package swarm

import (
	"slices"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// spellings are the names that parameters are read by.
type spellings struct {
	// exact are read in their one spelling, indexed too with an index, folded, in lower case,
	// in any.
	exact, indexed, folded map[string]bool
	// all are the names to suggest.
	all []string
}

func newSpellings() spellings {
	s := spellings{exact: map[string]bool{}, indexed: map[string]bool{}, folded: map[string]bool{}}
	for _, p := range service.Parameters() {
		s.all = append(s.all, p.Name)
		switch {
		case p.Level == service.DestinationLevel:
			s.indexed[p.Name] = true
		case p.Type == service.List || p.Type == service.Headers:
			s.exact[p.Name] = true
			if p.Old != "" {
				s.exact[p.Old] = true
			}
		default:
			s.folded[strings.ToLower(p.Name)] = true
		}
	}
	for _, own := range []string{"notify", labelShortName, labelScrapeNetwork} {
		s.exact[own] = true
		s.all = append(s.all, own)
	}
	return s
}

// reads reports whether a parameter of the name has a meaning.
func (s spellings) reads(name string) bool {
	base, index, indexed := strings.Cut(name, ".")
	n, err := strconv.Atoi(index)
	return s.exact[name] || s.folded[strings.ToLower(name)] || s.indexed[base] && (!indexed || err == nil && n > 0)
}

// unknown are the labels that mean nothing, each with what may have been meant, sorted.
func (s spellings) unknown(labels map[string]string, notify string) []string {
	var list []string
	for label := range labels {
		name, ours := strings.CutPrefix(label, paramPrefix)
		if !ours || label == notify || s.reads(name) {
			continue
		}
		if near, ok := s.nearest(name); ok {
			label += " (" + paramPrefix + near + "?)"
		}
		list = append(list, label)
	}
	slices.Sort(list)
	return list
}

// nearest is the known name that one or two letters more, less or other make of name.
func (s spellings) nearest(name string) (string, bool) {
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	best, least := "", 3
	for _, known := range s.all {
		if d := distance(base, strings.ToLower(known)); d < least && 2*d < len(base) {
			best, least = known, d
		}
	}
	return best, best != ""
}

// distance is Levenshtein's: how many bytes have to be added, deleted or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
