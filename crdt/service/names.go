package service

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// CheckNames refuses parameters that Parse would ignore, as Docker Flow Proxy does: where
// nobody else's labels come along, such a name is a mistake. Errors: Errors with every one.
func CheckNames(q url.Values) error {
	var p problems
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !IsParameter(name) {
			p.add(shorten(printableText(name)), "", fault{"is not a parameter", "the nearest one is " + nearest(name, parameterNames())})
		}
	}
	return p.err()
}

// IsParameter reports whether Parse reads that name.
func IsParameter(name string) bool {
	plain, index, indexed := strings.Cut(name, ".")
	n, err := strconv.Atoi(index)
	if indexed && (err != nil || n < 1 || strconv.Itoa(n) != index) {
		return false
	}
	return slices.ContainsFunc(Parameters(), func(p Parameter) bool {
		switch {
		case indexed || p.Level == DestinationLevel:
			return p.Level == DestinationLevel && p.Name == plain
		case p.Type == List || p.Type == Headers:
			return p.Name == name || p.Old != "" && p.Old == name
		}
		return strings.EqualFold(p.Name, name)
	})
}

func parameterNames() []string {
	var names []string
	for _, p := range Parameters() {
		names = append(names, p.Name)
	}
	return names
}

// unknownFieldFault says where a field that JSON has in the wrong place belongs, or which one it is like.
func unknownFieldFault(name string) fault {
	same := func(known string) bool { return strings.EqualFold(known, name) }
	ofService, ofDestination := jsonNames(reflect.TypeFor[Service]()), jsonNames(reflect.TypeFor[Destination]())
	switch {
	case slices.ContainsFunc(ofDestination, same):
		return fault{"is not a field here", "put it into an element of destinations"}
	case slices.ContainsFunc(ofService, same):
		return fault{"is not a field here", "put it beside destinations"}
	}
	known := slices.Concat(ofService, ofDestination, jsonNames(reflect.TypeFor[bodyUser]()), jsonNames(reflect.TypeFor[Header]()),
		jsonNames(reflect.TypeFor[Rewrite]()), jsonNames(reflect.TypeFor[Sealed]()), jsonNames(reflect.TypeFor[Source]()))
	return fault{"is not a field", "the nearest one is " + nearest(name, known)}
}

func jsonNames(t reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// nearest is the known name that the fewest changed letters make of name; the first of equals.
func nearest(name string, known []string) string {
	name, _, _ = strings.Cut(strings.ToLower(shorten(name)), ".")
	return slices.MinFunc(known, func(a, b string) int {
		return distance(name, strings.ToLower(a)) - distance(name, strings.ToLower(b))
	})
}

// Similar is the parameter, or one of the others, that one or two letters more, less or other
// make of name; false if none is as near.
func Similar(name string, others ...string) (string, bool) {
	best := nearest(name, slices.Concat(parameterNames(), others))
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	changes := distance(base, strings.ToLower(best))
	return best, changes < 3 && 2*changes < len(base)
}

// distance counts the letters to insert, delete or replace (Levenshtein, by rows).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
