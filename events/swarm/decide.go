package swarm

import (
	"slices"
	"strconv"
	"time"

	"sluice/crdt"
)

// Verb is what a Step does.
type Verb int

// Verbs of a Step.
const (
	// Announce publishes the object's definition over the entry with stamp Match, or where
	// there is none.
	Announce Verb = iota
	// Ask reads the log first and then decides by it, see Judge.
	Ask
	// Remove removes an entry of this cluster that nothing asks for, once Docker confirms it.
	Remove
	// Leave does nothing; Reason tells why, once.
	Leave
	// Refuse: the labels cannot be announced; Reason tells why, once.
	Refuse
)

// Step is one thing to do about one service.
type Step struct {
	Do   Verb
	Name string
	// Object is nil for Remove.
	Object *Object
	// Entry is what the state has, nil if there is none.
	Entry *Listed
	// Match is the stamp that the entry must have, empty: there must be none.
	Match, Reason string
	// Confirmed: Docker has shown already that nothing asks for the entry.
	Confirmed bool
}

// Memory is what a watcher remembers of a service: that for this entry and this object there
// is nothing to do, until then (zero: for ever). Losing it costs a question, nothing else.
type Memory struct {
	Settled string
	Until   time.Time
	// Refused: the API does not take it.
	Refused bool
	Told    string
}

func (m Memory) settles(key string, now time.Time) bool {
	return m.Settled == key && (m.Until.IsZero() || now.Before(m.Until))
}

// settledKey is that of an object before an entry.
func settledKey(o *Object, l *Listed) string {
	key := o.asks() + " " + o.Asked.Format(time.RFC3339Nano) // Judge may decide by it
	if l != nil {
		key += " " + l.Stamp
	}
	return key
}

// World is what Decide looks at.
type World struct {
	Seen   *Seen
	Listed map[string]Listed
	Memory map[string]Memory // by id of the object
	Now    time.Time
}

// Decide compares what Docker has with the state. It is pure: equal worlds give equal steps,
// announcements first, sorted by name. It never asks for the removal of what no watcher of
// this cluster made.
func Decide(w World) []Step {
	var steps []Step
	for _, o := range pick(w.Seen.Objects, w.Listed) {
		if s, ok := w.about(o); ok {
			steps = append(steps, s)
		}
	}
	wanted := map[string]bool{}
	held := map[string]bool{} // ids of what asks for something impossible: nothing changes
	for i := range w.Seen.Objects {
		o := &w.Seen.Objects[i]
		wanted[o.Name] = true
		held[o.Source.ID] = o.Invalid != "" || w.Memory[o.Source.ID].Refused
	}
	for _, name := range sortedNames(w.Listed) {
		l := w.Listed[name]
		if !w.own(&l) || wanted[name] || held[l.Source.ID] {
			continue
		}
		steps = append(steps, Step{Do: Remove, Name: name, Entry: &l, Match: l.Stamp,
			Confirmed: w.Seen.IDs[l.Source.ID], Reason: "nothing asks for it any more"})
	}
	return steps
}

// own reports whether a watcher of this cluster made the entry.
func (w *World) own(l *Listed) bool {
	return l.Source != nil && l.Source.Kind == w.Seen.Kind && l.Source.Cluster == w.Seen.Cluster
}

// about is what to do for one object, false for nothing.
func (w *World) about(o picked) (Step, bool) {
	s := Step{Name: o.Name, Object: o.Object}
	var entry *Listed
	if l, ok := w.Listed[o.Name]; ok {
		entry, s.Entry, s.Match = &l, &l, l.Stamp
	}
	if w.Memory[o.Source.ID].settles(settledKey(o.Object, entry), w.Now) {
		return s, false
	}
	switch {
	case o.rival != "":
		s.Do, s.Reason = Refuse, "serviceName: "+o.Name+" is the name of another service, "+o.rival+"; rename one, or remove com.df.shortName"
	case o.Invalid != "":
		s.Do, s.Reason = Refuse, o.Invalid
	case entry == nil && (o.Remove || !o.Runs):
		return s, false
	case entry == nil:
		s.Do = Ask
	case !w.own(entry) && o.Remove:
		return s, false
	case !w.own(entry):
		s.Do = Ask
	case o.Remove:
		s.Do, s.Confirmed, s.Reason = Remove, true, "it is scaled to nothing"
	case announced(o.Object, entry) && o.Secrets == "":
		return s, false // of secrets only the API can tell whether they are the same
	default:
		s.Do = Announce
	}
	return s, true
}

// announced reports whether the entry is from the object as it is.
func announced(o *Object, l *Listed) bool {
	replicas := ""
	if l.Replicas != nil {
		replicas = strconv.Itoa(*l.Replicas)
	}
	return l.Source.Owner() == o.Source.Owner() && l.Source.Labels == o.Source.Labels && replicas == o.replicas()
}

// picked is an object; rival has the name already.
type picked struct {
	*Object
	rival string
}

// pick settles who has a name that more than one object has: the one that has it in the
// state, else the oldest.
func pick(objects []Object, listed map[string]Listed) []picked {
	var list []picked
	for i := 0; i < len(objects); {
		end := i + 1
		for end < len(objects) && objects[end].Name == objects[i].Name {
			end++
		}
		best := i
		if l, ok := listed[objects[i].Name]; ok && l.Source != nil {
			for k := i; k < end; k++ {
				if objects[k].Source.ID == l.Source.ID {
					best = k
				}
			}
		}
		list = append(list, picked{Object: &objects[best]})
		for k := i; k < end; k++ {
			if k != best {
				list = append(list, picked{&objects[k], objects[best].Source.ID})
			}
		}
		i = end
	}
	return list
}

func sortedNames(m map[string]Listed) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// stampTime is when a stamp was given; zero for what is none.
func stampTime(text string) time.Time {
	stamp, err := crdt.ParseStamp(text)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(stamp.Millis()))
}
