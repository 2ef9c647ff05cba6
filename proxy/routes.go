package proxy

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// lookup names one map of rules: prefix or exact-path rules of one class and kind of host.
// Keys are host and path put together, so that one search in a tree finds the longest path
// of the host.
type lookup struct {
	class class
	kind  hostKind
	exact bool
}

func (l lookup) file() string {
	name := "maps/" + [classes]string{"wellknown", "routes", "root"}[l.class] + "-" + [hostKinds]string{"host", "wild", "any"}[l.kind]
	if l.exact {
		name += "-exact"
	}
	return name + ".map"
}

// standing are the lookups that are made whether or not they hold rules: with the first
// rule of its kind, most services would need a load.
func (l lookup) standing() bool { return !l.exact && l.class != acme && l.kind != wildHost }

// lookups are all in the order in which they are made.
func lookups() []lookup {
	var list []lookup
	for c := range classes {
		for kind := range hostKinds {
			list = append(list, lookup{c, kind, true}, lookup{c, kind, false})
		}
	}
	return list
}

// mapKey is one line of one of the maps.
type mapKey struct {
	lookup
	key string
}

// routing holds all map rules, so that the first hit in the order of lookups is the first
// rule of the total order. A rule without entry port is repeated for each entry port that
// has rules of its own; a wildcard's rules are repeated for every narrower wildcard: the
// narrowest one that a host matches then holds all.
type routing struct {
	// ports and wild count the rules for an entry port or wildcard; with no ports, keys
	// carry none.
	ports map[int]int
	wild  map[string]int
	// narrower are, of each wildcard, those below it; as of the last rebuild.
	narrower map[string][]string
	// lines are the rules of each key, the first one wins.
	lines map[lookup]map[string][]route
	// touched are the keys that may have changed since they were last taken.
	touched map[mapKey]bool
	// reshaped: the keys' form has changed, so that all have to be made again; shifted: other
	// lookups have to be made than before.
	reshaped, shifted bool
}

func newRouting() *routing {
	return &routing{
		ports: map[int]int{}, wild: map[string]int{}, lines: map[lookup]map[string][]route{}, touched: map[mapKey]bool{},
	}
}

// count keeps the entry ports and wildcards; by is 1 or -1.
func (r *routing) count(rt *route, by int) {
	if rt.srcPort != 0 {
		r.reshaped = tally(r.ports, rt.srcPort, by) || r.reshaped
	}
	if kindOf(rt.host) == wildHost {
		r.reshaped = tally(r.wild, rt.host, by) || r.reshaped
	}
}

// tally reports whether a key has come or gone.
func tally[K comparable](counts map[K]int, key K, by int) bool {
	before := counts[key]
	counts[key] += by
	if counts[key] == 0 {
		delete(counts, key)
	}
	return (before == 0) != (counts[key] == 0)
}

// add takes rules in, remove takes them out. If the keys' form changes with them, rebuild
// has to follow.
func (r *routing) add(routes []route)    { r.change(routes, 1, insertRoute) }
func (r *routing) remove(routes []route) { r.change(routes, -1, deleteRoute) }

func (r *routing) change(routes []route, by int, edit func(list []route, rt *route) []route) {
	for i := range routes {
		r.count(&routes[i], by)
	}
	if r.reshaped {
		return
	}
	for i := range routes {
		r.edit(&routes[i], edit)
	}
}

func (r *routing) edit(rt *route, edit func(list []route, rt *route) []route) {
	for _, host := range r.hosts(rt) {
		at := lookup{rt.class, kindOf(host), rt.exact}
		if r.lines[at] == nil {
			r.lines[at] = map[string][]route{}
		}
		before := len(r.lines[at])
		for _, key := range r.keys(rt, host) {
			if list := edit(r.lines[at][key], rt); len(list) > 0 {
				r.lines[at][key] = list
			} else {
				delete(r.lines[at], key)
			}
			r.touch(mapKey{at, key})
		}
		r.shifted = r.shifted || (before == 0) != (len(r.lines[at]) == 0)
	}
}

// touch notes that a key may have changed, which concerns exact and prefix rules alike.
func (r *routing) touch(k mapKey) {
	for _, exact := range []bool{false, true} {
		r.touched[mapKey{lookup{k.class, k.kind, exact}, k.key}] = true
	}
}

// touchAll notes that every key of the rules may have changed.
func (r *routing) touchAll(routes []route) {
	for i := range routes {
		rt := &routes[i]
		for _, host := range r.hosts(rt) {
			for _, key := range r.keys(rt, host) {
				r.touch(mapKey{lookup{rt.class, kindOf(host), rt.exact}, key})
			}
		}
	}
}

func searchRoute(list []route, rt *route) (int, bool) {
	return slices.BinarySearchFunc(list, rt, func(a route, b *route) int { return a.compare(b) })
}

// insertRoute and deleteRoute return new lists.
func insertRoute(list []route, rt *route) []route {
	i, found := searchRoute(list, rt)
	if found { // a destination that gives one path twice
		return list
	}
	return slices.Insert(slices.Clone(list), i, *rt)
}

func deleteRoute(list []route, rt *route) []route {
	i, found := searchRoute(list, rt)
	if !found {
		return list
	}
	return slices.Delete(slices.Clone(list), i, i+1)
}

// hosts are the host of a rule and, of a wildcard, all narrower ones.
func (r *routing) hosts(rt *route) []string { return append([]string{rt.host}, r.narrower[rt.host]...) }

// narrowerPatterns maps each wildcard to those that must repeat its rules.
func (r *routing) narrowerPatterns() map[string][]string {
	narrower := map[string][]string{}
	for pattern := range r.wild {
		ending := pattern[1:]
		for i := 1; i <= len(ending); i++ {
			if _, used := r.wild["*"+ending[i:]]; used {
				narrower["*"+ending[i:]] = append(narrower["*"+ending[i:]], pattern)
			}
		}
	}
	return narrower
}

func (r *routing) keys(rt *route, host string) []string {
	key := host + rt.path
	if len(r.ports) == 0 {
		return []string{key}
	}
	keys := []string{strconv.Itoa(rt.srcPort) + "|" + key}
	if rt.srcPort == 0 {
		for port := range r.ports {
			keys = append(keys, strconv.Itoa(port)+"|"+key)
		}
	}
	return keys
}

// rebuild makes all keys again from all rules.
func (r *routing) rebuild(all []*part) {
	for l, lines := range r.lines {
		for key := range lines {
			r.touch(mapKey{l, key})
		}
	}
	r.reshaped, r.lines, r.narrower = false, map[lookup]map[string][]route{}, r.narrowerPatterns()
	for _, p := range all {
		for i := range p.routes {
			r.edit(&p.routes[i], insertRoute)
		}
	}
}

// winner is the rule that decides a key; nil: there is none. An exact-path rule counts for
// nothing where a prefix rule with the same key precedes it.
func (r *routing) winner(k mapKey) *route {
	list := r.lines[k.lookup][k.key]
	if len(list) == 0 {
		return nil
	}
	if k.exact {
		if prefix := r.winner(mapKey{lookup{k.class, k.kind, false}, k.key}); prefix != nil && prefix.before(&list[0]) {
			return nil
		}
	}
	return &list[0]
}

// used are the lookups that have to be made.
func (r *routing) used() map[lookup]bool {
	set := map[lookup]bool{}
	for _, l := range lookups() {
		if l.standing() || len(r.lines[l]) > 0 {
			set[l] = true
		}
	}
	return set
}

// sortedPorts are the entry ports that rules are bound to.
func (r *routing) sortedPorts() []int { return slices.Sorted(maps.Keys(r.ports)) }

// frozen is a copy that can be read while the routing goes on changing.
func (r *routing) frozen() *routing {
	lines := make(map[lookup]map[string][]route, len(r.lines))
	for l, keys := range r.lines {
		lines[l] = maps.Clone(keys)
	}
	return &routing{lines: lines}
}

// render is the file of a lookup.
func (r *routing) render(l lookup) []byte {
	var b strings.Builder
	for _, key := range sortedKeys(r.lines[l]) {
		if rt := r.winner(mapKey{l, key}); rt != nil {
			b.WriteString(key)
			b.WriteByte(' ')
			b.WriteString(rt.backend)
			b.WriteByte('\n')
		}
	}
	return []byte(b.String())
}
