package proxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Table is one map file of prefix or exact-path rules: all rules of one class and host
// kind. Keys are host and path put together, so that one tree lookup finds the longest
// path of the host.
type table struct {
	class class
	kind  hostKind
	exact bool
	lines map[string]route
}

func (t *table) file() string {
	name := "maps/" + [classes]string{"wellknown", "routes", "root"}[t.class] + "-" + [hostKinds]string{"host", "wild", "any"}[t.kind]
	if t.exact {
		name += "-exact"
	}
	return name + ".map"
}

// routing is the whole table of map rules, compiled.
type routing struct {
	// ports are the entry ports that rules are bound to; with none, keys carry no port.
	ports []int
	// wild are the wildcard patterns in use.
	wild   map[string]bool
	tables [classes][hostKinds][2]*table
}

// compile puts every route where its lookup finds it, so that the first hit in the order
// of lookups is the first rule of the total order. A rule without entry port is repeated
// for each entry port that has rules of its own; a wildcard's rules are repeated for
// every narrower wildcard: the narrowest one that a host matches then holds all.
func compile(routes []route) *routing {
	r := &routing{wild: map[string]bool{}}
	ports := map[int]bool{}
	for _, rt := range routes {
		if rt.srcPort != 0 {
			ports[rt.srcPort] = true
		}
		if kindOf(rt.host) == wildHost {
			r.wild[rt.host] = true
		}
	}
	for p := range ports {
		r.ports = append(r.ports, p)
	}
	slices.Sort(r.ports)
	wider := r.widerPatterns()
	for _, rt := range routes {
		hosts := []string{rt.host}
		if kindOf(rt.host) == wildHost {
			hosts = append(hosts, wider[rt.host]...)
		}
		for _, host := range hosts {
			r.addHost(rt, host)
		}
	}
	for _, byKind := range r.tables {
		for _, pair := range byKind {
			settle(pair[0], pair[1])
		}
	}
	return r
}

// widerPatterns maps each pattern to the narrower patterns that must repeat its rules.
func (r *routing) widerPatterns() map[string][]string {
	narrower := map[string][]string{}
	for pattern := range r.wild {
		ending := pattern[1:]
		for i := 1; i <= len(ending); i++ {
			if other := "*" + ending[i:]; r.wild[other] {
				narrower[other] = append(narrower[other], pattern)
			}
		}
	}
	return narrower
}

func (r *routing) addHost(rt route, host string) {
	ports := []int{rt.srcPort}
	if rt.srcPort == 0 {
		ports = append(ports, r.ports...)
	}
	slot := 0
	if rt.exact {
		slot = 1
	}
	at := &r.tables[rt.class][kindOf(host)][slot]
	if *at == nil {
		*at = &table{class: rt.class, kind: kindOf(host), exact: rt.exact, lines: map[string]route{}}
	}
	for _, port := range ports {
		key := host + rt.path
		if len(r.ports) > 0 {
			key = strconv.Itoa(port) + "|" + key
		}
		if old, ok := (*at).lines[key]; !ok || rt.order < old.order {
			(*at).lines[key] = rt
		}
	}
}

// settle drops the exact-path rules that a prefix rule with the same key precedes.
func settle(prefixes, exact *table) {
	if prefixes == nil || exact == nil {
		return
	}
	for key, rt := range exact.lines {
		if p, ok := prefixes.lines[key]; ok && p.order < rt.order {
			delete(exact.lines, key)
		}
	}
}

func (t *table) render() []byte {
	var b strings.Builder
	for _, key := range sortedKeys(t.lines) {
		b.WriteString(key)
		b.WriteByte(' ')
		b.WriteString(t.lines[key].backend)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

func (r *routing) all() []*table {
	var list []*table
	for _, byKind := range r.tables {
		for _, pair := range byKind {
			for _, t := range pair {
				if t != nil {
					list = append(list, t)
				}
			}
		}
	}
	return list
}

// wildLookup is one step of finding the narrowest wildcard of a host.
type wildLookup struct {
	labels int
	dotted bool // the pattern starts with "*."
	keys   []string
}

// wildLookups are ordered from the longest possible ending to the shortest.
func (r *routing) wildLookups() []wildLookup {
	steps := map[[2]int]*wildLookup{}
	for pattern := range r.wild {
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
	return "maps/wildcards-" + kind + "-" + strconv.Itoa(w.labels) + ".map"
}

func (w *wildLookup) render() []byte {
	var b strings.Builder
	for _, key := range w.keys {
		star := "*"
		if w.dotted {
			star = "*."
		}
		b.WriteString(key + " " + star + key + "\n")
	}
	return []byte(b.String())
}
