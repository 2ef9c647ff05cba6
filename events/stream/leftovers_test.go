package stream_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
	"sluice/events/stream"
)

// What an interrupted upload and an interrupted removal leave is removed by the next save once
// it is old; what others are uploading, and what is whole, is not.
func TestSaveSweepsLeftovers(t *testing.T) {
	a, s := newArchive(t)
	save(t, a, snapshotAt(1, 100))
	js := s.js(t)
	publish := func(subject string) {
		if _, err := js.Publish(t.Context(), subject, []byte("part")); err != nil {
			t.Fatal(err)
		}
	}
	subjectsNow := func() []string {
		si, err := streamOf(t, s, objectStream).Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for subject := range si.State.Subjects {
			list = append(list, subject)
		}
		return list
	}
	const upload = "$O." + objectBucket + ".C.interrupted"
	publish(upload)
	store, err := js.ObjectStore(t.Context(), objectBucket)
	if err != nil {
		t.Fatal(err)
	}
	putObject(t, s, jetstream.ObjectMeta{Name: "removed"}, []byte("x"))
	if err := store.Delete(t.Context(), "removed"); err != nil {
		t.Fatal(err)
	}
	if n := len(subjectsNow()); n != 4 { // an object's two, the part, the mark
		t.Fatalf("%d subjects", n)
	}
	save(t, a, snapshotAt(2, 100))
	if got := subjectsNow(); len(got) != 5 || !slices.Contains(got, upload) {
		t.Errorf("after a save the bucket has %q; want two objects and the young part", got)
	}
	a.SetLeftoverAge(time.Nanosecond)
	save(t, a, snapshotAt(3, 100))
	if got := subjectsNow(); len(got) != 6 || slices.Contains(got, upload) {
		t.Errorf("after a later save the bucket has %q; want three objects", got)
	}
	for _, c := range list(t, a) {
		if _, err := load(t, a, c.Name); err != nil {
			t.Errorf("load %s: %v", c.Name, err)
		}
	}
}

// A snapshot that the server has no room for is refused, and nothing of it is listed as a
// checkpoint; smaller ones go on being saved.
func TestSaveThatTheServerHasNoRoomFor(t *testing.T) {
	s := startServer(t)
	s.stop()
	s.opts.JetStreamMaxStore = 8 << 20
	s.start(t)
	log := s.logWith(t, stream.Config{Subjects: subjects, MaxBytes: 1 << 20})
	open(t, log)
	a := stream.NewArchive(log)
	if err := a.Save(t.Context(), snapshotAt(1, 5000)); err == nil {
		t.Fatal("stored 15 MB in 8 MB")
	}
	for _, c := range list(t, a) {
		if c.Anchor != (events.Anchor{}) {
			t.Errorf("listed %+v", c)
		}
	}
	eventually(t, "a smaller one is saved", func() bool { return a.Save(t.Context(), snapshotAt(2, 10)) == nil })
	if got := list(t, a); len(got) != 1 || got[0].Anchor.Seq != 2 {
		t.Errorf("listed %v", got)
	}
}

// A snapshot of more parts than may be under way at once.
func TestSaveWaitsForTheServer(t *testing.T) {
	a, s := newArchive(t)
	s.stop()
	s.opts.JetStreamMaxStore, s.opts.SyncAlways = 256<<20, false // a slow disk would take long
	s.start(t)
	want := snapshotAt(1, 12000) // 36 MB
	eventually(t, "it is saved", func() bool { return a.Save(t.Context(), want) == nil })
	got, err := load(t, a, list(t, a)[0].Name)
	if err != nil || !bytes.Equal(encode(t, got), encode(t, want)) {
		t.Errorf("load: %v, or it is different", err)
	}
}
