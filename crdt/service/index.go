package service

import "strconv"

// destinations reads the indexed destinations, or the plain one if there is no index.
// Indexes count from 1 without gaps; a value that an index lacks is taken from the
// parameter without index.
func (r *reader) destinations() []Destination {
	fields := destinationFields()
	var all []Destination
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
	for _, f := range fields {
		if r.shadowed(f.Name, len(all)) {
			r.unused(f)
		}
	}
	return all
}

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
	for _, name := range []string{"servicePath", "port", "serviceDomain", "httpsPort"} {
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
