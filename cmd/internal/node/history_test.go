package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

// rejectedIn has the log of n reject a change of a service: its stamp is of long ago.
func rejectedIn(t *testing.T, n *Node, name string) {
	t.Helper()
	old := uint64(time.Now().Add(-90 * 24 * time.Hour).UnixMilli())
	e := crdt.Entry{Key: "service/" + name, Stamp: crdt.Stamp{HLC: old << 16, Node: 1<<63 | 7}, Value: []byte(`{}`)}
	data, err := events.EntryEvent("/elsewhere", e).Encode()
	if err == nil {
		_, err = n.log.Append(t.Context(), events.Outgoing{Subject: n.subjects.Event(e.Key), ID: e.Stamp.String() + name, Data: data})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever follows what was given up hears of what was given up before, and then of the rest.
func TestRejectedChangesAreFollowed(t *testing.T) {
	n, _ := readyNode(t)
	rejectedIn(t, n, "first")
	eventually(t, func() string {
		if len(n.replica.Rejected()) == 1 {
			return ""
		}
		return "the change was not given up"
	})
	h := history{replica: n.replica, subjects: n.subjects, read: n.readLog}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told, ended := make(chan string, 10), make(chan error, 1)
	go func() {
		ended <- h.Records(ctx, events.Query{Kind: events.KindRejected, Follow: true}, func(r events.Record) error {
			told <- r.Key
			return nil
		})
	}()
	for _, name := range []string{"first", "second", "third"} {
		if name != "first" {
			rejectedIn(t, n, name)
		}
		select {
		case key := <-told:
			if key != "service/"+name {
				t.Fatalf("told of %s, want %s", key, name)
			}
		case err := <-ended:
			t.Fatalf("ended before %s: %v", name, err)
		case <-time.After(patience):
			t.Fatalf("not told of %s", name)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	enough := errors.New("enough")
	if err := h.Records(t.Context(), events.Query{Kind: events.KindRejected, Follow: true}, func(events.Record) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("a reader that ends it gets %v", err)
	}
}

func TestUnseen(t *testing.T) {
	list := func(keys ...string) (out []events.Record) {
		for _, key := range keys {
			out = append(out, events.Record{Key: key, Stamp: "s"})
		}
		return out
	}
	var u unseen
	for _, c := range []struct{ list, want []events.Record }{
		{nil, nil},
		{list("a", "b"), list("a", "b")},
		{list("a", "b"), list()},
		{list("b", "c"), list("c")},      // the oldest is gone
		{list("x", "y"), list("x", "y")}, // all that was seen is
		{list("x", "y", "z"), list("z")},
	} {
		if diff := cmp.Diff(c.want, append([]events.Record(nil), u.of(c.list)...)); diff != "" {
			t.Errorf("of %v: %s", c.list, diff)
		}
	}
}
