package swarm

import (
	"slices"
	"time"

	"sluice/crdt/service"
)

// holdMark is how long an address stays marked as leaving after its task has gone: until
// every replica's look-ups of the name have forgotten it too.
const holdMark = 15 * time.Second

// Marks remembers until when an address stays marked, by service. Losing it prolongs marks.
type Marks map[string]map[string]time.Time

// Next is what the state should know of an object's tasks, given what it knows. Addresses
// that are leaving stay marked for a while, unless a running task has them.
func (m Marks) Next(o *Object, known service.Tasks, now time.Time) service.Tasks {
	next := o.Tasks
	marks := map[string]time.Time{}
	for _, addr := range o.Tasks.Leaving {
		marks[addr] = now.Add(holdMark)
	}
	for _, addr := range known.Leaving {
		if _, leaves := marks[addr]; leaves || slices.Contains(o.Tasks.Running, addr) {
			continue
		}
		until, remembered := m[o.Name][addr]
		if !remembered {
			until = now.Add(holdMark)
		}
		if now.Before(until) {
			marks[addr] = until
			next.Leaving = append(slices.Clone(next.Leaving), addr)
		}
	}
	delete(m, o.Name)
	if len(marks) > 0 {
		m[o.Name] = marks
	}
	if next.IsZero() {
		return service.Tasks{}
	}
	next.Cluster = o.Source.Cluster
	slices.Sort(next.Leaving)
	return next
}
