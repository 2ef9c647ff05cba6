package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

func kept(key string) events.Event {
	e := events.EntryEvent("test", crdt.Entry{Key: "service/" + key, Stamp: crdt.Stamp{HLC: 7, Node: 1<<63 | 1}, Value: []byte(`{"v":1}`)})
	e.Actor = "ci"
	return e
}

func keys(t *testing.T, j *journal) []string {
	t.Helper()
	list, err := j.Load()
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, e := range list {
		out = append(out, e.Subject)
	}
	return out
}

func write(t *testing.T, j *journal, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := j.Append([]events.Event{kept(name)}); err != nil {
			t.Fatal(err)
		}
	}
}

func holds(t *testing.T, path string, want ...string) {
	t.Helper()
	full := []string{}
	for _, w := range want {
		full = append(full, "service/"+w)
	}
	if diff := cmp.Diff(full, keys(t, newJournal(path))); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	j := newJournal(path)
	holds(t, path)
	write(t, j, "a", "b")
	holds(t, path, "a", "b")
	mark := j.Mark()
	write(t, j, "c")
	if err := j.Forget(mark); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "c")
	write(t, j, "d")
	holds(t, path, "c", "d")
	again := newJournal(path)
	write(t, again, "e")
	holds(t, path, "c", "d", "e")
	if err := again.Forget(again.Mark()); err != nil {
		t.Fatal(err)
	}
	holds(t, path)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("an empty journal is a file: %v", err)
	}
}

// What a crash tore off hides neither what was before nor what comes after.
func TestJournalTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	write(t, newJournal(path), "a", "b")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < len(data)/2; cut++ {
		if err := os.WriteFile(path, data[:len(data)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		holds(t, path, "a")
		write(t, newJournal(path), "c")
		holds(t, path, "a", "c")
	}
}
