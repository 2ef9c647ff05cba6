package proxy

import (
	"maps"
	"sync"
)

// names are those at rest of the backends that have others in HAProxy until the next load.
// Its methods are safe for concurrent use.
type names struct {
	mu     sync.RWMutex
	atRest map[string]string
}

func (n *names) set(atRest map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.atRest = maps.Clone(atRest)
}

// AtRest is what a backend of HAProxy is called in haproxy.cfg. Of the pool those that
// nobody has have no such name: "". Safe for concurrent use.
func (c *Controller) AtRest(backend string) string {
	if !pooled(backend) {
		return backend
	}
	c.names.mu.RLock()
	defer c.names.mu.RUnlock()
	return c.names.atRest[backend]
}
