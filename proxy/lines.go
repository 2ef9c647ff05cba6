package proxy

import (
	"cmp"
	"slices"
	"strconv"
)

// edit collects the changes of one map.
type edit struct {
	add, set, del []string
}

// route plans the lines of the rules.
func (l *live) route(m *Model, p *plan) {
	edits := map[string]*edit{}
	kept := map[mapKey]bool{}
	for k := range m.routing.touched {
		lines, made := l.maps[k.file()]
		if !made { // its lookup comes with a load, which makes all its lines
			continue
		}
		if !l.line(m, p, edits, k, lines) {
			kept[k] = true
		}
	}
	l.ranks(m, p, edits)
	for _, file := range sortedKeys(edits) {
		l.edit(p, file, edits[file])
	}
	m.routing.touched = kept
}

// line plans one line; false: it has to wait.
func (l *live) line(m *Model, p *plan, edits map[string]*edit, k mapKey, lines map[string]string) bool {
	want := ""
	if rt := m.routing.winner(k); rt != nil {
		if want = l.bound[tenant{rt.place.service, rt.backend}]; want == "" || p.waiting[rt.place.service] {
			return false
		}
	}
	have, known := lines[k.key]
	if owner := l.ownerOf(have); known && owner != "" && p.waiting[owner] && want != have {
		return false
	}
	return l.change(p, edits, k.file(), k.key, want)
}

// change plans what makes a line have a value, "" for no line; false: it has to wait.
func (l *live) change(p *plan, edits map[string]*edit, file, key, want string) bool {
	have, known := l.maps[file][key]
	if have == want {
		return true
	}
	if known && !plainKey.MatchString(key) {
		p.needLoad("the key " + key)
		p.vague = true
		return false
	}
	e := edits[file]
	if e == nil {
		e = &edit{}
		edits[file] = e
	}
	switch {
	case want == "":
		delete(l.maps[file], key)
		e.del = append(e.del, key)
		return true
	case known:
		e.set = append(e.set, key)
	default:
		e.add = append(e.add, key)
	}
	l.maps[file][key] = want
	return true
}

// edit turns the changes of one map into commands.
func (l *live) edit(p *plan, file string, e *edit) {
	lines := l.maps[file]
	if len(e.set)+len(e.del) > manyChanges {
		p.bulk = append(p.bulk, bulk{file, lines})
		return
	}
	slices.Sort(e.add)
	slices.Sort(e.set)
	slices.Sort(e.del)
	p.commands = append(p.commands, addLines(file, "", e.add, func(key string) string { return lines[key] })...)
	for _, key := range e.set {
		p.commands = append(p.commands, setLine(file, key, lines[key]))
	}
	for _, key := range e.del {
		p.commands = append(p.commands, deleteLine(file, key))
	}
}

// ranks plans the places of the touched services' backends, where rules outside the maps
// compare themselves with them.
func (l *live) ranks(m *Model, p *plan, edits map[string]*edit) {
	if l.maps[rankFile] == nil {
		return
	}
	for name := range m.touched {
		part := m.parts[name]
		if part == nil || p.waiting[name] {
			continue
		}
		for i := range part.routes {
			rt := &part.routes[i]
			rank := ""
			if n := m.shape().rankOf(rt.place); n > 0 {
				rank = strconv.Itoa(n)
			}
			l.change(p, edits, rankFile, cmp.Or(l.bound[tenant{name, rt.backend}], rt.backend), rank)
		}
	}
}

// small plans the maps that do not belong to the rules.
func (l *live) small(m *Model, p *plan) {
	edits := map[string]*edit{}
	wanted := m.shape().smallMaps()
	for _, file := range []string{keyFile, saltsFile, usersFile} {
		if wanted[file] == nil { // nobody is asked for a user any more
			wanted[file] = map[string]string{}
		}
	}
	for file, lines := range wanted {
		if l.maps[file] == nil {
			continue
		}
		for key, want := range lines {
			l.change(p, edits, file, key, want)
		}
		for _, key := range sortedKeys(l.maps[file]) {
			if _, wanted := lines[key]; !wanted {
				l.change(p, edits, file, key, "")
			}
		}
	}
	for _, file := range sortedKeys(edits) {
		l.edit(p, file, edits[file])
	}
}
