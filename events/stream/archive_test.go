package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/stream"
)

const (
	objectStream = "OBJ_SLUICE_EDGE-1_CHECKPOINTS"
	objectBucket = "SLUICE_EDGE-1_CHECKPOINTS"
	leaseBucket  = "SLUICE_EDGE-1_LEASE"
)

// snapshotAt is a snapshot at sequence seq that holds n values of 3000 bytes that do not compress.
func snapshotAt(seq uint64, n int) events.Snapshot {
	source := rand.NewChaCha8([32]byte{byte(seq)})
	m := crdt.NewMap()
	for i := range n {
		value := make([]byte, 3000)
		_, _ = source.Read(value) // never fails
		m.Merge(crdt.Entry{Key: fmt.Sprint("service/s", i), Stamp: crdt.Stamp{HLC: 1, Node: 1 << 63}, Value: value})
	}
	return events.Snapshot{
		Namespace: subjects.Namespace,
		Taken:     time.Date(2026, 1, 2, 3, 4, 5, 600_000_007, time.UTC).Add(time.Duration(seq)),
		State: &events.State{
			StreamID: strings.Repeat("0f", 16), Params: events.DefaultParams(), Ref: 1_750_000_000_000, Map: m,
			Anchor: events.Anchor{Seq: seq, Time: 1_750_000_000_000_000_007, Hash: [16]byte{1, 2, 15: 3}},
		},
	}
}

func encode(tb testing.TB, s events.Snapshot) []byte {
	tb.Helper()
	data, err := s.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func save(tb testing.TB, a *stream.Archive, s events.Snapshot) {
	tb.Helper()
	if err := answered(func() error { return a.Save(tb.Context(), s) }); err != nil {
		tb.Fatalf("save: %v", err)
	}
}

func list(tb testing.TB, a *stream.Archive) []events.Checkpoint {
	tb.Helper()
	var got []events.Checkpoint
	err := answered(func() (err error) { got, err = a.List(tb.Context()); return err })
	if err != nil {
		tb.Fatalf("list: %v", err)
	}
	return got
}

func load(tb testing.TB, a *stream.Archive, name string) (s events.Snapshot, err error) {
	tb.Helper()
	err = answered(func() (err error) { s, err = a.Load(tb.Context(), name); return err })
	return s, err
}

func remove(tb testing.TB, a *stream.Archive, name string) error {
	tb.Helper()
	return answered(func() error { return a.Remove(tb.Context(), name) })
}

// newArchive is an archive of a log whose stream exists, and what else looks at its server.
func newArchive(tb testing.TB) (*stream.Archive, *testServer) {
	tb.Helper()
	s := startServer(tb)
	log := s.log(tb)
	open(tb, log)
	return stream.NewArchive(log), s
}

func TestArchiveKeepsCheckpoints(t *testing.T) {
	a, s := newArchive(t)
	if got := list(t, a); len(got) != 0 {
		t.Fatalf("an archive without bucket lists %v", got)
	}
	if _, err := load(t, a, "x"); !errors.Is(err, events.ErrNoSnapshot) {
		t.Errorf("load without bucket: %v", err)
	}
	if err := remove(t, a, "x"); err != nil {
		t.Errorf("remove without bucket: %v", err)
	}
	want := []events.Snapshot{snapshotAt(9, 1), snapshotAt(10, 1800), snapshotAt(11, 0)}
	for _, i := range []int{1, 0, 2} {
		save(t, a, want[i])
	}
	got := list(t, a)
	if len(got) != len(want) {
		t.Fatalf("listed %v", got)
	}
	slices.SortFunc(got, func(x, y events.Checkpoint) int { return strings.Compare(x.Name, y.Name) })
	for i, c := range got {
		data := encode(t, want[i])
		told := events.Checkpoint{Name: c.Name, StreamID: want[i].State.StreamID, Anchor: want[i].State.Anchor, Taken: want[i].Taken, Bytes: uint64(len(data))}
		if diff := cmp.Diff(told, c); diff != "" {
			t.Errorf("checkpoint %d (-want +got):\n%s", i, diff)
		}
		back, err := load(t, a, c.Name)
		if err != nil {
			t.Fatalf("load: %v", err)
		}
		if !bytes.Equal(encode(t, back), data) {
			t.Errorf("snapshot %d of %d bytes came back differently", i, len(data))
		}
	}
	if got[1].Bytes < 5<<20 {
		t.Errorf("the large one has %d bytes only", got[1].Bytes)
	}
	for _, c := range got {
		for range 2 {
			if err := remove(t, a, c.Name); err != nil {
				t.Errorf("remove: %v", err)
			}
		}
		if _, err := load(t, a, c.Name); !errors.Is(err, events.ErrNoSnapshot) {
			t.Errorf("load what was removed: %v", err)
		}
	}
	if got := list(t, a); len(got) != 0 {
		t.Errorf("after all were removed: %v", got)
	}
	if n := streamOf(t, s, objectStream).CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d messages are left in the bucket", n)
	}
}

func streamOf(tb testing.TB, s *testServer, name string) jetstream.Stream {
	tb.Helper()
	st, err := s.js(tb).Stream(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

func TestArchiveBuckets(t *testing.T) {
	for _, namespace := range []string{"a", "edge-1", "a_b", "0-_-"} {
		t.Run(namespace, func(t *testing.T) {
			s := startServer(t)
			log := s.logWith(t, stream.Config{Subjects: events.Subjects{Namespace: namespace}, MaxBytes: 16 << 20})
			open(t, log)
			a := stream.NewArchive(log)
			snap := snapshotAt(3, 1)
			snap.Namespace = namespace
			save(t, a, snap)
			if !leaseFor(t, a, time.Minute) {
				t.Fatal("no lease")
			}
			name := "SLUICE_" + strings.ToUpper(namespace)
			objects := streamOf(t, s, "OBJ_"+name+"_CHECKPOINTS").CachedInfo().Config
			leases := streamOf(t, s, "KV_"+name+"_LEASE").CachedInfo().Config
			if objects.Storage != jetstream.FileStorage || objects.Compression != jetstream.NoCompression || objects.MaxAge != 0 || objects.Replicas != 1 {
				t.Errorf("bucket of checkpoints %+v", objects)
			}
			if leases.MaxAge != time.Minute || leases.MaxMsgsPerSubject != 1 || leases.Replicas != 1 {
				t.Errorf("bucket of the lease %+v", leases)
			}
			for _, c := range []jetstream.StreamConfig{objects, leases} {
				if c.Metadata["sluice.namespace"] != namespace || c.Metadata["sluice.format"] != "1" {
					t.Errorf("metadata of %s: %v", c.Name, c.Metadata)
				}
			}
			if got := list(t, a); len(got) != 1 || got[0].Anchor != snap.State.Anchor {
				t.Errorf("listed %v", got)
			}
		})
	}
}

func TestArchiveNeedsALog(t *testing.T) {
	a := stream.NewArchive(startServer(t).log(t))
	if err := a.Save(t.Context(), snapshotAt(1, 1)); !errors.Is(err, events.ErrNoLog) {
		t.Errorf("save: %v", err)
	}
	if _, err := a.Lease(t.Context(), time.Second); !errors.Is(err, events.ErrNoLog) {
		t.Errorf("lease: %v", err)
	}
	if err := a.Trim(t.Context(), "", 2); !errors.Is(err, events.ErrNoLog) {
		t.Errorf("trim: %v", err)
	}
}

func TestArchiveWithoutServer(t *testing.T) {
	a, s := newArchive(t)
	save(t, a, snapshotAt(1, 1))
	s.stop()
	if _, err := a.List(t.Context()); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("list: %v", err)
	}
	if _, err := a.Load(t.Context(), "x"); !errors.Is(err, events.ErrUnavailable) || errors.Is(err, events.ErrNoSnapshot) {
		t.Errorf("load: %v", err)
	}
	if err := a.Save(t.Context(), snapshotAt(2, 1)); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("save: %v", err)
	}
	if err := a.Remove(t.Context(), "x"); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("remove: %v", err)
	}
	if held, err := a.Lease(t.Context(), time.Second); !errors.Is(err, events.ErrUnavailable) || held {
		t.Errorf("lease: %v, %v", held, err)
	}
}

// A bucket of our name that is not ours is refused with a remedy, and left as it is.
func TestArchiveRefusesABucketThatIsNotOurs(t *testing.T) {
	ours := map[string]string{"sluice.namespace": "edge-1", "sluice.format": "1"}
	cases := map[string]struct {
		cfg  jetstream.StreamConfig
		says string
	}{
		"objects of another program": {jetstream.StreamConfig{Name: objectStream, Subjects: []string{"$O." + objectBucket + ".C.>", "$O." + objectBucket + ".M.>"}, AllowRollup: true}, "did not create it"},
		"objects that expire": {jetstream.StreamConfig{Name: objectStream, Subjects: []string{"$O." + objectBucket + ".C.>", "$O." + objectBucket + ".M.>"},
			AllowRollup: true, Metadata: ours, MaxAge: time.Hour, Discard: jetstream.DiscardNew}, "maximum age"},
		"no object store":          {jetstream.StreamConfig{Name: objectStream, Subjects: []string{"other"}, Metadata: ours}, "its subjects"},
		"a lease that never ends":  {jetstream.StreamConfig{Name: "KV_" + leaseBucket, Subjects: []string{"$KV." + leaseBucket + ".>"}, Metadata: ours, MaxMsgsPerSubject: 1}, "never end"},
		"leases of another format": {jetstream.StreamConfig{Name: "KV_" + leaseBucket, Subjects: []string{"$KV." + leaseBucket + ".>"}, MaxMsgsPerSubject: 1, MaxAge: time.Hour}, "sluice.format"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, s := newArchive(t)
			made, err := s.js(t).CreateStream(t.Context(), c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(c.cfg.Name, "OBJ_") {
				err = a.Save(t.Context(), snapshotAt(1, 1))
			} else {
				_, err = a.Lease(t.Context(), time.Second)
			}
			if !errors.Is(err, stream.ErrUnfitBucket) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "nats stream rm "+c.cfg.Name) {
				t.Errorf("error %v, want it to say %q and the remedy", err, c.says)
			}
			now := streamOf(t, s, c.cfg.Name).CachedInfo()
			if diff := cmp.Diff(made.CachedInfo().Config, now.Config); diff != "" || now.State.Msgs != 0 {
				t.Errorf("it was changed (-before +after), %d messages:\n%s", now.State.Msgs, diff)
			}
		})
	}
}

func TestArchiveRefusesAForeignSnapshot(t *testing.T) {
	a, s := newArchive(t)
	foreign := snapshotAt(1, 1)
	foreign.Namespace = "other"
	if err := a.Save(t.Context(), foreign); !errors.Is(err, events.ErrForeignSnapshot) {
		t.Errorf("save: %v", err)
	}
	save(t, a, snapshotAt(2, 1))
	putObject(t, s, jetstream.ObjectMeta{Name: "foreign"}, encode(t, foreign))
	if _, err := load(t, a, "foreign"); !errors.Is(err, events.ErrForeignSnapshot) {
		t.Errorf("load: %v", err)
	}
}

func putObject(tb testing.TB, s *testServer, meta jetstream.ObjectMeta, data []byte) {
	tb.Helper()
	store, err := s.js(tb).ObjectStore(tb.Context(), objectBucket)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := store.Put(tb.Context(), meta, bytes.NewReader(data)); err != nil {
		tb.Fatal(err)
	}
}

// What is damaged is told as such, can be listed beside what is whole, and removed.
func TestArchiveWithDamage(t *testing.T) {
	a, s := newArchive(t)
	good := snapshotAt(1, 200)
	save(t, a, good)
	whole := list(t, a)[0]
	data := encode(t, good)
	store, err := s.js(t).ObjectStore(t.Context(), objectBucket)
	if err != nil {
		t.Fatal(err)
	}
	info, err := store.GetInfo(t.Context(), whole.Name)
	if err != nil {
		t.Fatal(err)
	}
	moved := map[string]string{"sluice.anchor_seq": "2"}
	for key, value := range info.Metadata {
		if key != "sluice.anchor_seq" {
			moved[key] = value
		}
	}
	bad := bytes.Clone(data)
	bad[len(bad)/2] ^= 1
	putObject(t, s, jetstream.ObjectMeta{Name: "another state", Metadata: moved}, data)
	putObject(t, s, jetstream.ObjectMeta{Name: "bad byte"}, bad)
	putObject(t, s, jetstream.ObjectMeta{Name: "no snapshot", Metadata: map[string]string{"sluice.anchor_seq": "x"}}, []byte("hello"))
	putObject(t, s, jetstream.ObjectMeta{Name: "empty"}, nil)
	save(t, a, snapshotAt(2, 200))
	save(t, a, snapshotAt(3, 200))
	damaged := []string{"another state", "bad byte", "no snapshot", "empty"}
	for _, c := range list(t, a) {
		switch c.Anchor.Seq {
		case 0:
			if c.StreamID != "" || time.Since(c.Taken) > time.Hour {
				t.Errorf("%q is listed as %+v", c.Name, c)
			}
		case 2:
			if c.Name != "another state" {
				removeParts(t, s, c.Name, 1)
				damaged = append(damaged, c.Name)
			}
		case 3:
			removeParts(t, s, c.Name, 1000)
			damaged = append(damaged, c.Name)
		}
	}
	begin := time.Now()
	for _, name := range damaged {
		if _, err := load(t, a, name); !errors.Is(err, events.ErrCorruptSnapshot) {
			t.Errorf("load %q: %v", name, err)
		}
		if err := remove(t, a, name); err != nil {
			t.Errorf("remove %q: %v", name, err)
		}
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("damage was found after %v", took)
	}
	if diff := cmp.Diff([]events.Checkpoint{whole}, list(t, a)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if _, err := load(t, a, whole.Name); err != nil {
		t.Errorf("load what is whole: %v", err)
	}
}

// removeParts deletes the first n parts of an object.
func removeParts(tb testing.TB, s *testServer, name string, n int) {
	tb.Helper()
	store, err := s.js(tb).ObjectStore(tb.Context(), objectBucket)
	if err != nil {
		tb.Fatal(err)
	}
	info, err := store.GetInfo(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	st := streamOf(tb, s, objectStream)
	for range min(n, int(info.Chunks)) {
		m, err := st.GetMsg(tb.Context(), 1, jetstream.WithGetMsgSubject("$O."+objectBucket+".C."+info.NUID))
		if err != nil {
			tb.Fatal(err)
		}
		if err := st.DeleteMsg(tb.Context(), m.Sequence); err != nil {
			tb.Fatal(err)
		}
	}
}

// A part that is not stored as it was sent makes no checkpoint; saved again, it is one.
func TestArchiveSavesAgainWhatReadsBackDifferently(t *testing.T) {
	a, s := newArchive(t)
	save(t, a, snapshotAt(1, 1))
	parts := "$O." + objectBucket + ".C.*"
	if err := s.GlobalAccount().AddMapping(parts, "$O."+objectBucket+".C.elsewhere"); err != nil {
		t.Fatal(err)
	}
	if err := a.Save(t.Context(), snapshotAt(2, 200)); !errors.Is(err, events.ErrUnavailable) || errors.Is(err, events.ErrCorruptSnapshot) {
		t.Errorf("save while parts go elsewhere: %v", err)
	}
	if got := list(t, a); len(got) != 1 || got[0].Anchor.Seq != 1 {
		t.Errorf("listed after it: %v", got)
	}
	s.GlobalAccount().RemoveMapping(parts)
	save(t, a, snapshotAt(2, 200))
	if got := list(t, a); len(got) != 2 {
		t.Errorf("listed at last: %v", got)
	}
}

// Nor is what the copy that is asked does not know of.
func TestArchiveSavesAgainWhatCannotBeReadBack(t *testing.T) {
	a, s := newArchive(t)
	save(t, a, snapshotAt(1, 1))
	metas := "$O." + objectBucket + ".M.*"
	if err := s.GlobalAccount().AddMapping(metas, "$O."+objectBucket+".M.elsewhere"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // as long as it is waited for
	defer cancel()
	if err := a.Save(ctx, snapshotAt(2, 1)); !errors.Is(err, events.ErrUnavailable) || errors.Is(err, events.ErrNoSnapshot) {
		t.Errorf("save while the copy does not know of it: %v", err)
	}
	s.GlobalAccount().RemoveMapping(metas)
	save(t, a, snapshotAt(2, 1))
}
