package events_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

// wallAt is the wall clock so many seconds after begin.
func wallAt(seconds uint64) time.Time { return time.UnixMilli(int64(begin + seconds*second)) }

// coreOn is a core that has folded the book to its end, and the session that did it.
func coreOn(b *book) (*events.Core, *events.Session, events.Progress) {
	b.t.Helper()
	c := events.NewCore(events.CoreConfig{Subjects: names, Node: 1<<63 | 7})
	s, p := c.Rebuild(events.LogInfo{StreamID: "stream-1", First: 1, Last: uint64(len(b.messages))}, nil)
	for _, m := range b.messages {
		var err error
		if p, err = s.Handle(m); err != nil {
			b.t.Fatal(err)
		}
	}
	return c, s, p
}

func write(t *testing.T, c *events.Core, name string, seconds uint64) crdt.Entry {
	t.Helper()
	e, err := c.Write(events.Change{Key: "service/" + name, Value: []byte(`{}`)}, wallAt(seconds))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A write that the log has stored was told yes for: a later one of the key that is refused
// must not take it along.
func TestStoredWriteOutlivesARefusedOne(t *testing.T) {
	c, _, _ := coreOn(begun(t))
	stored := write(t, c, "a", 1)
	refused := write(t, c, "a", 2)
	c.Refuse(refused)
	if result := c.Settle(stored); result != "" {
		t.Errorf("settled as %q", result)
	}
	if e, _ := c.Visible("service/a"); e.Compare(stored) != 0 {
		t.Errorf("visible is %v", e)
	}
}

// The same for a write that is accepted without the log.
func TestAcceptedWriteOutlivesARefusedOne(t *testing.T) {
	c, _, _ := coreOn(begun(t))
	accepted := write(t, c, "a", 1)
	refused := write(t, c, "a", 2)
	if !c.Accept(accepted) {
		t.Error("it is not accepted")
	}
	c.Refuse(refused)
	if e, _ := c.Visible("service/a"); e.Compare(accepted) != 0 {
		t.Errorf("visible is %v", e)
	}
	if list := c.Offers(wallAt(3)); len(list) != 1 || list[0].Entry.Compare(accepted) != 0 {
		t.Errorf("offered: %v", list)
	}
}

// What the fold has met needs nobody to accept it.
func TestAcceptAfterTheFold(t *testing.T) {
	for name, s := range map[string]struct{ folded, seconds uint64 }{"applied": {1, 1}, "expired": {450, 1}, "rejected as future": {1, 90}} {
		t.Run(name, func(t *testing.T) {
			b := begun(t)
			c, session, _ := coreOn(b)
			stamp := at(s.seconds, 7)
			e, err := c.Write(events.Change{Key: "service/a", Value: []byte(`{}`)}, time.UnixMilli(int64(stamp.Millis())))
			if err != nil {
				t.Fatal(err)
			}
			write(t, c, "a", s.seconds) // takes its place
			b.write(s.folded, e)
			if _, err := session.Handle(b.messages[len(b.messages)-1]); err != nil {
				t.Fatal(err)
			}
			if c.Accept(e) {
				t.Error("accepted")
			}
		})
	}
}

// The log loses a stored write before it is folded here, and grows: what is folded at its
// position is another message.
func TestStoredWriteThatTheLogLostIsAccepted(t *testing.T) {
	b := begun(t)
	c, s, _ := coreOn(b)
	stored, folded := write(t, c, "a", 1), write(t, c, "b", 1)
	b.write(1, put("c", at(1, 9), "another"))
	b.write(1, folded)
	for _, m := range b.messages[1:] {
		if _, err := s.Handle(m); err != nil {
			t.Fatal(err)
		}
	}
	if result := c.Settle(folded); result != events.ResultApplied {
		t.Errorf("the folded one settled as %q", result)
	}
	if result := c.Settle(stored); result != "" {
		t.Errorf("the lost one settled as %q", result)
	}
	if e, _ := c.Visible("service/a"); e.Compare(stored) != 0 || len(c.Offers(wallAt(1))) != 1 {
		t.Errorf("visible is %v, offered %v", e, c.Offers(wallAt(1)))
	}
}

// Rules 15, 16 and 21: the state is in the log, but the audited point was trimmed away, so
// that no consumer could begin there.
func TestTrimmedAuditPointNeedsARebuild(t *testing.T) {
	b := begun(t)
	for i := range uint64(4) {
		b.tick(i)
	}
	c, _, _ := coreOn(b)
	info := events.LogInfo{StreamID: "stream-1", First: 1, Last: 5}
	if !c.Continues(info, &b.messages[4]) {
		t.Error("does not go on from a whole log")
	}
	if info.First = 3; c.Continues(info, &b.messages[4]) {
		t.Error("goes on though its audited point is gone")
	}
}

// Rule 9: what a rebuild rejects is reported at its end, if the finished state lacks it.
func TestRebuildReportsWhatItRejected(t *testing.T) {
	b := begun(t)
	b.tick(500)
	lost := put("a", at(1, 1), "x")
	b.write(500, lost)
	b.write(500, put("b", at(1, 1), "x"))
	b.write(500, put("b", at(500, 1), "newer"))
	_, _, p := coreOn(b)
	wantReports(t, p.Reports, events.Report{Entry: lost, Reason: events.ReasonExpired})
}

func TestOffersRule11(t *testing.T) {
	c, _, _ := coreOn(begun(t))
	own, others, underway := write(t, c, "own", 1), put("others", at(1, 9), "x"), write(t, c, "underway", 1)
	c.Accept(own)
	c.Admit(others, wallAt(1))
	offered := func(seconds uint64) (list []string) {
		for _, p := range c.Offers(wallAt(seconds)) {
			list = append(list, p.Entry.Key)
		}
		return list
	}
	if diff := cmp.Diff([]string{own.Key}, offered(1)); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{others.Key, own.Key}, offered(11)); diff != "" {
		t.Errorf("when due (-want +got):\n%s", diff)
	}
	c.Unknown(underway)
	if n := len(offered(11)); n != 3 {
		t.Errorf("%d offered after the answer did not come", n)
	}
	c.Interrupt()
	if list := offered(11); list != nil {
		t.Errorf("offered without the log: %v", list)
	}
}

func TestAdmitRule12(t *testing.T) {
	b := begun(t)
	b.write(410, put("a", at(410, 1), "in the log"))
	c, _, _ := coreOn(b)
	for _, s := range []struct {
		name string
		e    crdt.Entry
		want events.Admission
	}{
		{"new", put("b", at(412, 1), "x"), events.Admitted},
		{"again", put("b", at(412, 1), "x"), events.AdmittedBefore},
		{"lesser than what is pending", put("b", at(411, 1), "x"), events.BeatenHere},
		{"in the log", put("a", at(410, 1), "in the log"), events.BeatenHere},
		{"at R", put("c", at(10, 1), "x"), events.Admitted},
		{"older than R", put("d", at(9, 1), "x"), events.ExpiredHere},
		{"5 s ahead", put("e", at(415, 1), "x"), events.Admitted},
		{"6 s ahead", put("f", at(416, 1), "x"), events.Deferred},
	} {
		if got := c.Admit(s.e, wallAt(410)); got != s.want {
			t.Errorf("%s: %s, want %s", s.name, got, s.want)
		}
	}
}

func TestAdoptRule13(t *testing.T) {
	b := begun(t)
	c, _, _ := coreOn(b)
	early, _ := c.Export()
	b.tick(1)
	further, _, _ := coreOn(b)
	late, _ := further.Export()
	foreign := events.Transfer{State: late.State.Clone()}
	foreign.State.StreamID = "stream-2"
	gap := events.Transfer{State: late.State, Trail: []events.Anchor{{Seq: 7}, late.State.Anchor}}
	for _, s := range []struct {
		name        string
		into        *events.Core
		t           events.Transfer
		unreachable bool
		want        bool
	}{
		{"further, the log is there", c, late, false, false},
		{"of another log", c, foreign, true, false},
		{"trail with a gap", c, gap, true, false},
		{"no further", further, early, true, false},
		{"further, the log is out of reach", c, late, true, true},
		{"by who has none", events.NewCore(events.CoreConfig{Subjects: names}), early, false, true},
	} {
		if _, got := s.into.Adopt(s.t, s.unreachable); got != s.want {
			t.Errorf("%s: %v, want %v", s.name, got, s.want)
		}
		if _, ok := s.into.Checkpoint(); s.want && (ok || s.into.Online()) {
			t.Errorf("%s: it counts as verified", s.name)
		}
	}
}

func TestGenesisRule18(t *testing.T) {
	with, _, _ := coreOn(begun(t))
	without := events.NewCore(events.CoreConfig{Subjects: names})
	for _, s := range []struct {
		name   string
		core   *events.Core
		around events.Around
		want   events.Obstacle
	}{
		{"has a state, whatever others do", with, events.Around{Unknown: true, PeerHasState: true, Waited: true}, events.Unobstructed},
		{"has a state, and has not waited yet", with, events.Around{Listened: true}, events.ObstacleWaiting},
		{"forbidden", with, events.Around{Forbid: true}, events.ObstacleForbidden},
		{"a store is out of reach", without, events.Around{Unknown: true, Listened: true}, events.ObstacleUnknown},
		{"has not listened yet", without, events.Around{}, events.ObstacleListening},
		{"a peer has a state", without, events.Around{Listened: true, PeerHasState: true}, events.ObstaclePeer},
		{"first installation", without, events.Around{Listened: true, Waited: true}, events.Unobstructed},
		{"has not waited yet", without, events.Around{Listened: true}, events.ObstacleWaiting},
		{"a peer has come while it waited", without, events.Around{Listened: true, PeerHasState: true, Waited: true}, events.ObstaclePeer},
		{"a store is out of reach since", without, events.Around{Unknown: true, Listened: true, Waited: true}, events.ObstacleUnknown},
	} {
		g, got := s.core.Genesis(s.around, wallAt(3))
		if got != s.want || got == events.Unobstructed && (g.Map == nil || g.Ref < begin) {
			t.Errorf("%s: %q %+v, want %q", s.name, got, g, s.want)
		}
	}
}

func TestTrimPointRule21(t *testing.T) {
	for _, s := range []struct {
		valid []uint64
		want  uint64
	}{{nil, 0}, {[]uint64{5, 9}, 0}, {[]uint64{9, 5, 7}, 5}, {[]uint64{1, 9, 3, 7}, 3}} {
		if got := events.TrimPoint(s.valid); got != s.want {
			t.Errorf("%v: %d, want %d", s.valid, got, s.want)
		}
	}
}

func TestDiscordI1(t *testing.T) {
	p := events.Position{StreamID: "s", Anchor: events.Anchor{Seq: 5, Time: 1}, Digest: 1}
	change := func(f func(*events.Position)) events.Position { o := p; f(&o); return o }
	for name, s := range map[string]struct {
		other events.Position
		want  events.Discord
	}{
		"equal":           {p, events.NoDiscord},
		"another log":     {change(func(o *events.Position) { o.StreamID, o.Digest = "t", 2 }), events.NoDiscord},
		"elsewhere":       {change(func(o *events.Position) { o.Anchor.Seq, o.Digest = 6, 2 }), events.NoDiscord},
		"another message": {change(func(o *events.Position) { o.Anchor.Time = 2 }), events.LostTail},
		"another map":     {change(func(o *events.Position) { o.Digest = 2 }), events.Diverged},
	} {
		if got := p.Discord(s.other); got != s.want {
			t.Errorf("%s: %q, want %q", name, got, s.want)
		}
	}
}

// Pending writes that a machine kept over a restart are offered at once, if they still may be.
func TestRecall(t *testing.T) {
	b := begun(t)
	b.write(450, put("beaten", at(450, 1), "x"))
	c, _, _ := coreOn(b)
	kept, beaten, old := put("kept", at(449, 2), "x"), put("beaten", at(440, 2), "x"), put("old", at(1, 2), "x")
	wantReports(t, c.Recall([]crdt.Entry{kept, beaten, old}), events.Report{Entry: old, Reason: events.ReasonExpired})
	if list := c.Accepted(); len(list) != 1 || list[0].Compare(kept) != 0 || len(c.Offers(wallAt(450))) != 1 {
		t.Errorf("pending are %v", list)
	}
	if c.AcceptedDigest() != kept.Fingerprint() {
		t.Error("the digest is not that of the list")
	}
}
