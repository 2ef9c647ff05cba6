package sim_test

import (
	"os"
	"testing"

	"sluice/events/internal/rule"
)

// small is a world without chance of two replicas and one key that begin with an empty log
// and both have folded it.
func small(broken rule.Set) *world {
	s := settings{replicas: 2, keys: 1, broken: broken, disks: 0}
	if *traceFlag {
		s.out = os.Stdout
	}
	w := newWorld(s)
	w.params.N = 2 // few messages are enough for a collection
	for _, n := range w.nodes {
		n.group = n.index // they exchange when told to
		n.sync()
	}
	return w
}

// sync lets n do all it can do with the log.
func (n *node) sync() {
	if !n.up() {
		n.start()
	}
	n.audit()
	n.connect()
	n.read(1 << 30)
	n.seed()
	n.read(1 << 30)
	n.offer()
	n.read(1 << 30)
	n.settle()
}

// again appends a copy of the first write that the log has ever held: one that was late.
func (w *world) again() {
	if len(w.oracle.writes) > 0 {
		w.append(w.sides[0], w.oracle.writes[0].message)
	}
}

// collectable lets the tombstones of now be collected at a replica: R passes, and the log grows.
func (w *world) collectable(n *node) {
	w.pass(rMs + 10_000)
	for range w.params.N {
		w.tick(w.sides[0])
	}
	n.sync()
}

// paths are too deep for the search and too rare for seeds. What they lead to is a removed
// key that is back, or replicas that disagree for good.
func paths() map[rule.Broken]func(*world) {
	return map[rule.Broken]func(*world){
		rule.RefRaw: func(w *world) {
			a, b := w.nodes[0], w.nodes[1]
			a.write("service/a", false, false)
			a.sync()
			w.pass(1000)
			a.write("service/a", true, false)
			a.sync()
			w.collectable(a)
			b.sync()
			w.leader = -150_000 // a leader whose clock is slow
			w.again()
			b.sync()
			a.sync()
		},
		rule.GenNoRef: func(w *world) {
			a := w.nodes[0]
			a.write("service/a", false, false)
			a.sync()
			w.pass(1000)
			a.write("service/a", true, false)
			a.sync()
			w.collectable(a)
			w.leader = -150_000
			w.recreate(w.sides[0])
			a.sync()
			w.again()
			a.sync()
		},
		rule.AuditNoPoint: func(w *world) {
			a, b := w.nodes[0], w.nodes[1]
			a.write("service/a", false, false)
			a.sync()
			a.audit() // the audited point is the newest message
			a.read(1 << 30)
			w.loseTail(w.sides[0], 1, func() bool { return true })
			b.sync()
			b.write("service/a", true, false)
			w.tick(w.sides[0])
			w.tick(w.sides[0])
			a.read(1 << 30)
		},
		rule.SeedAny: func(w *world) {
			a, b := w.nodes[0], w.nodes[1]
			a.write("service/a", false, false)
			a.sync()
			b.sync()
			b.cut = true
			b.hangUp()
			w.pass(1000)
			a.write("service/a", true, false)
			a.sync()
			w.collectable(a)
			w.recreate(w.sides[0])
			b.cut = false
			b.sync()
			a.sync()
		},
	}
}

// violated runs do and the end of the world after it; the error is the violation.
func (w *world) violated(do func(*world)) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			err = errorText(v.text)
		default:
			panic(v)
		}
	}()
	do(w)
	w.settle()
	w.judge()
	return nil
}

func TestPath(t *testing.T) {
	for broken, path := range paths() {
		t.Run(broken.String(), func(t *testing.T) {
			if err := small(0).violated(path); err != nil {
				t.Errorf("with all rules: %v", err)
			}
			if err := small(rule.Of(broken)).violated(path); err == nil {
				t.Error("without the rule: no violation")
			} else {
				t.Log(err)
			}
		})
	}
}
