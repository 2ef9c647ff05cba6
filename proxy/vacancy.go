package proxy

import (
	"slices"
	"strings"
)

// abandon leaves a backend without owner. Those of the configuration stay as they are until
// the next load: their service may come back.
func (l *live) abandon(p *plan, name string) {
	b := l.backends[name]
	b.owner, l.drifted = "", true
	if _, ranked := l.maps[rankFile][name]; ranked {
		delete(l.maps[rankFile], name)
		p.after = append(p.after, deleteLine(rankFile, name))
	}
	if !b.added {
		return
	}
	p.vacated = append(p.vacated, name)
	for _, gone := range sortedKeys(b.has) {
		l.dismiss(p, b, gone)
	}
	if !pooled(name) {
		b.closed = true
		p.after = append(p.after, unpublishBackend(name))
		l.demolish(p, name)
	}
}

// open makes a backend that was about to be deleted take requests again.
func (l *live) open(p *plan, name string) {
	if b := l.backends[name]; b.closed {
		b.closed = false
		p.commands = append(p.commands, publishBackend(name))
	}
}

// demolish tries to delete a backend that was added and that nobody has; HAProxy refuses
// while it has servers.
func (l *live) demolish(p *plan, name string) {
	b := l.backends[name]
	if b == nil || !b.closed || b.demolished {
		return
	}
	b.demolished = true
	p.vacated = append(p.vacated, name)
	p.after = append(p.after, deleteBackend(name, func() {
		b.demolished = false
		l.deserted = append(l.deserted, name)
	}))
}

// vacate frees a backend of the pool that nobody has and that no server has to leave, and
// forgets one that was deleted.
func (l *live) vacate(name string) {
	b := l.backends[name]
	switch {
	case b == nil || b.owner != "" || len(b.has) > 0:
	case b.demolished:
		delete(l.backends, name)
	case pooled(name) && !slices.ContainsFunc(l.leaving, func(o leaver) bool { return o.backend == name }):
		delete(l.backends, name)
		l.free = append(l.free, name)
	}
}

// readBackends takes in which of the backends that were added HAProxy has; true: it has all
// that are in use.
func (l *live) readBackends(text string) bool {
	exists := map[string]bool{}
	for line := range strings.Lines(text) {
		exists[strings.TrimSpace(line)] = true
	}
	l.deserted = nil
	for _, name := range sortedKeys(l.backends) {
		switch b := l.backends[name]; {
		case !b.added || pooled(name):
		case exists[name]:
			if b.demolished = false; b.closed {
				l.deserted = append(l.deserted, name)
			}
		case b.owner != "":
			return false
		default:
			delete(l.backends, name)
		}
	}
	return true
}
