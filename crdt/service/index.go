package service

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// destinations reads the indexed destinations, or the plain one if there is no index.
// Indexes count from 1 without gaps; a value that an index lacks is taken from the
// parameter without index.
func (r *reader) destinations() []Destination {
	fields := destinationFields()
	var all []Destination
	r.gap()
	for i := 1; r.indexed(i) && len(r.problems.list) < maxProblems; i++ {
		if i > MaxIndex {
			r.add("port."+strconv.Itoa(i), "", fault{"is one destination too many", "use at most 1000 indexes"})
			break
		}
		all = append(all, r.destination(fields, i))
	}
	if len(all) == 0 {
		return []Destination{r.destination(fields, 0)}
	}
	r.inherit(all)
	for _, f := range fields {
		if r.shadowed(f.Name, len(all)) {
			r.unused(f)
		}
	}
	return all
}

// gap refuses indexes that are not reached by counting: Docker Flow Proxy dropped them, and
// with them routes that somebody asked for.
func (r *reader) gap() {
	found := map[int]string{}
	for name := range r.values {
		plain, index, _ := strings.Cut(name, ".")
		n, err := strconv.Atoi(index)
		if err == nil && strconv.Itoa(n) == index && n > 0 && slices.Contains(targets(), plain) && r.values.Get(name) != "" {
			found[n] = max(found[n], name) // the same one everywhere
		}
	}
	indexes := slices.Sorted(maps.Keys(found))
	for i, n := range indexes {
		if n != i+1 {
			r.add(found[n], "", fault{"has no effect, since there is no index " + strconv.Itoa(i+1), "number the destinations 1, 2, 3 … without gaps"})
			return
		}
	}
}

// targets are the parameters of which an index has at least one.
func targets() []string { return []string{"servicePath", "port", "serviceDomain", "httpsPort"} }

// shadowed reports whether every index has its own value in the place of the plain one.
func (r *reader) shadowed(name string, indexes int) bool {
	for i := 1; i <= indexes; i++ {
		if r.values.Get(name+suffixOf(i)) == "" {
			return false
		}
	}
	return true
}

// unused judges a plain value that no index takes: it has no effect, but whoever gave it
// meant something.
func (r *reader) unused(f field) {
	var d Destination
	known := len(r.problems.list)
	r.assign(f.dest(&d), f.Name, r.values.Get(f.Name))
	if len(r.problems.list) > known {
		return
	}
	d.normalise("", true)
	v := validator{problems: r.problems}
	v.check(f, f.Name, f.dest(&d))
	r.problems = v.problems
}

// indexed reports whether index i has one of the parameters that make a destination.
func (r *reader) indexed(i int) bool {
	suffix := suffixOf(i)
	for _, name := range targets() {
		if r.values.Get(name+suffix) != "" {
			return true
		}
	}
	return false
}

func (r *reader) destination(fields []field, index int) Destination {
	d := Destination{Index: index}
	suffix := suffixOf(index)
	for _, f := range fields {
		param := f.Name + suffix
		text := r.values.Get(param)
		if text == "" && index > 0 {
			param = f.Name
			text = r.values.Get(param)
		}
		r.assign(f.dest(&d), param, text)
	}
	return d
}

// suffixOf is what a parameter's name ends in for destination i.
func suffixOf(i int) string {
	if i == 0 {
		return ""
	}
	return "." + strconv.Itoa(i)
}
