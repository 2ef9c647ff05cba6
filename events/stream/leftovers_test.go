package stream_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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
		if _, err := a.Load(t.Context(), c.Name); err != nil {
			t.Errorf("load %s: %v", c.Name, err)
		}
	}
}
