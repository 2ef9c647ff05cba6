package proxy

import (
	"regexp"
	"sync"
)

// names are those at rest of the backends that have others in HAProxy until the next load.
// Its methods are safe for concurrent use.
type names struct {
	mu     sync.RWMutex
	atRest map[string]string // by the name in HAProxy
}

func newNames() *names { return &names{atRest: map[string]string{}} }

func (n *names) set(name, atRest string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.atRest[name] = atRest
}

func (n *names) remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.atRest, name)
}

func (n *names) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.atRest)
}

func (n *names) get(name string) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.atRest[name]
}

// AtRest is what a backend of HAProxy is called in haproxy.cfg. Of the pool those that
// nobody has have no such name: "". Safe for concurrent use.
func (c *Controller) AtRest(backend string) string {
	if !pooled(backend) {
		return backend
	}
	return c.names.get(backend)
}

// poolInLine is where HAProxy's log tells the backend, before anything of the request.
var poolInLine = regexp.MustCompile(` pool:[0-9]+/`)

// LineAtRest is a line of HAProxy's log with the backend's name at rest. Safe for concurrent use.
func (c *Controller) LineAtRest(line string) string {
	at := poolInLine.FindStringIndex(line)
	if at == nil {
		return line
	}
	name := c.AtRest(line[at[0]+1 : at[1]-1])
	if name == "" {
		return line
	}
	return line[:at[0]+1] + name + line[at[1]-1:]
}
