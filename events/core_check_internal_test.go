package events

import (
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// checked folds messages into a core that a rule is missing of, and returns which invariants it
// finds broken. prepare is called once the genesis is folded.
func checked(t *testing.T, broken rule.Set, prepare func(*Core), messages ...Message) map[string]bool {
	t.Helper()
	names := Subjects{Namespace: "n"}
	g := Genesis{ID: "g", Params: DefaultParams(), Ref: checkBegin, Map: crdt.NewMap()}
	out, err := g.Message(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(checkBegin)
	all := append([]Message{{Seq: 1, Time: at, Subject: out.Subject, Data: out.Data}}, messages...)
	c := NewCore(CoreConfig{Subjects: names, Node: 1 << 63, Broken: broken})
	s, _ := c.Rebuild(LogInfo{StreamID: "s", First: 1, Last: 1}, nil)
	found := map[string]bool{}
	note := func(list []Violation) {
		for _, v := range list {
			found[v.Invariant] = true
		}
	}
	for i, m := range all {
		if m.Seq = uint64(i + 1); m.Time.IsZero() {
			m.Time = at
		}
		p, err := s.Handle(m)
		if err != nil {
			t.Fatal(err)
		}
		if note(p.Violations); i == 0 {
			prepare(c)
		}
	}
	note(c.checkPending())
	return found
}

const checkBegin = 1_800_000_000_000

func checkEntry(ms uint64, value string) crdt.Entry {
	return crdt.Entry{Key: "service/a", Stamp: crdt.Stamp{HLC: (checkBegin + ms) << 16, Node: 1<<63 | 1}, Value: []byte(value)}
}

func checkMessage(t *testing.T, e crdt.Entry) Message {
	t.Helper()
	event := EntryEvent("test", e)
	event.ID = "id"
	data, err := event.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return Message{Subject: Subjects{Namespace: "n"}.Event(e.Key), Data: data}
}

// Every alarm rings when its rule is broken, and none when all is well.
func TestInvariantsRing(t *testing.T) {
	put := func(ms uint64) func(*Core) {
		return func(c *Core) { c.Admit(checkEntry(ms, `{}`), time.UnixMilli(checkBegin+int64(ms))) }
	}
	nothing := func(*Core) {}
	raw := checkEntry(0, `{}`)
	raw.Stamp = crdt.Stamp{}
	future := checkEntry(100_000, `{}`)
	for _, c := range []struct {
		name      string
		broken    rule.Set
		prepare   func(*Core)
		messages  []Message
		invariant string
	}{
		{"a raw event that is beaten", rule.Of(rule.RawNoPlus), nothing, []Message{checkMessage(t, checkEntry(1000, `{}`)), checkMessage(t, raw)}, "I5"},
		{"an admitted change that is too far ahead", 0, put(100_000), []Message{checkMessage(t, future)}, "I6"},
		{"a smaller change takes the place of a pending one", rule.Of(rule.DurableWins), put(500), []Message{checkMessage(t, checkEntry(100, `{}`))}, "I3"},
		{"what the state beats stays pending", rule.Of(rule.NoFoldDrop), put(500), []Message{checkMessage(t, checkEntry(600, `{}`))}, "I7"},
	} {
		found := checked(t, c.broken, c.prepare, c.messages...)
		if !found[c.invariant] {
			t.Errorf("%s: found %v, want %s", c.name, found, c.invariant)
		}
		if c.broken != 0 {
			if found := checked(t, 0, c.prepare, c.messages...); len(found) > 0 {
				t.Errorf("%s, with all rules: found %v", c.name, found)
			}
		}
	}
}

func TestStampsRing(t *testing.T) {
	old, young := checkEntry(1, ""), checkEntry(2, "")
	for name, ring := range map[string]bool{"all is well": false, "not after what was read": true, "not after the own one before": true} {
		known, newest := old, old.Stamp
		switch name {
		case "not after what was read":
			known = young
		case "not after the own one before":
			newest = young.Stamp
		}
		if got := checkStamp(young, known, newest); (len(got) > 0) != ring {
			t.Errorf("%s: %v", name, got)
		}
	}
}
