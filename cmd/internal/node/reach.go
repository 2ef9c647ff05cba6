package node

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// reachWithin is how long a replica that is heard of may take to be heard of through the mesh:
// its name is looked up now and then only. It is longer than one that falls silent is there.
const reachWithin = 15 * time.Second

// reach watches which replicas the mesh reaches. Without those nothing is wrong until the log is
// away, and then it is too late to see it. Safe for concurrent use; nil watches nothing.
type reach struct {
	port   string
	wall   func() time.Time
	within time.Duration // reachWithin

	mu sync.Mutex
	// since, by node, is when it was heard of through the mesh last, or at all first.
	since map[string]time.Time
}

func newReach(listen string, wall func() time.Time) *reach {
	_, port, _ := net.SplitHostPort(listen) // checked at start
	return &reach{port: port, wall: wall, within: reachWithin, since: map[string]time.Time{}}
}

// heard takes in that a replica was heard of.
func (r *reach) heard(node, way string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.since[node]; !known || way == wayMesh {
		r.since[node] = r.wall()
	}
}

// trouble tells what an operator should know, given the other replicas that are there, in order.
func (r *reach) trouble(others []string) string {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.since, func(node string, _ time.Time) bool {
		_, there := slices.BinarySearch(others, node)
		return !there
	})
	n := 0
	for _, at := range r.since {
		if r.wall().Sub(at) > r.within {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d other replicas cannot be reached through the mesh (--peers): same secret? port %s open? --peers on all of them?", n, len(others), r.port)
}
