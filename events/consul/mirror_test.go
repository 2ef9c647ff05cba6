package consul_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/events/consul"
)

func sync1(tb testing.TB, m *consul.Mirror, desired map[string]string) {
	tb.Helper()
	eventually(tb, "the mirror is written", func() bool {
		held := false
		err := answered(func() (err error) { held, err = m.Sync(tb.Context(), desired); return err })
		if err != nil {
			tb.Fatalf("sync: %v", err)
		}
		return held
	})
}

func TestFields(t *testing.T) {
	s := service.Service{Name: "go-demo", Destinations: []service.Destination{
		{Index: 1, Port: 8080, ServicePath: []string{"/demo", "/other"}, ServiceDomain: []string{"acme.com"}, PathType: "path_reg"},
		{Index: 2, HTTPSPort: 8443, OutboundHostname: "elsewhere"},
	}, Users: []service.User{{Name: "me", Digest: "d"}}}
	want := map[string]string{
		"go-demo/path.1": "/demo,/other", "go-demo/port.1": "8080", "go-demo/domain.1": "acme.com", "go-demo/pathtype.1": "path_reg",
		"go-demo/port.2": "8443", "go-demo/hostname.2": "elsewhere",
	}
	if diff := cmp.Diff(want, consul.Fields(s)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	s.Destinations = []service.Destination{{Port: 80, ServicePath: []string{"/"}}}
	if diff := cmp.Diff(map[string]string{"go-demo/path": "/", "go-demo/port": "80"}, consul.Fields(s)); diff != "" {
		t.Errorf("fields without index (-want +got):\n%s", diff)
	}
}

func TestMirror(t *testing.T) {
	cfg := config(t)
	s := newStore(t, cfg)
	prefix := cfg.Prefix + "/"
	// What people keep below the prefix, some of it with names that the mirror uses.
	foreign := map[string]string{"notes": "mine", "web/owner": "team", "old/path": "/old", "a/b/path": "deep"}
	for name, value := range foreign {
		put(t, prefix+name, value)
	}
	m := s.Mirror("one")

	desired := map[string]string{}
	for i := range 100 { // several transactions
		desired[fmt.Sprintf("s%d/path", i)] = fmt.Sprint("/", i)
		desired[fmt.Sprintf("s%d/port", i)] = "80"
	}
	desired["big/path"] = strings.Repeat("/long", 10_000)
	desired["bigger/path"] = strings.Repeat("/long", 50_000)
	want := func() map[string]string {
		w := maps.Clone(foreign)
		maps.Copy(w, desired)
		return w
	}
	check := func(t *testing.T) {
		t.Helper()
		if diff := cmp.Diff(want(), list(t, prefix)); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	}

	sync1(t, m, desired)
	check(t)
	t.Run("keys go with their service, those of others stay", func(t *testing.T) {
		for i := range 90 {
			delete(desired, fmt.Sprintf("s%d/path", i))
			delete(desired, fmt.Sprintf("s%d/port", i))
		}
		desired["s95/port"] = "81"
		sync1(t, m, desired)
		check(t)
	})
	t.Run("nothing is written when nothing differs", func(t *testing.T) {
		before := index(t, prefix)
		sync1(t, m, desired)
		if after := index(t, prefix); after != before {
			t.Errorf("index %d, was %d", after, before)
		}
	})
	t.Run("a change by hand is repaired", func(t *testing.T) {
		put(t, prefix+"s95/port", "1")
		sync1(t, m, desired)
		check(t)
	})
}

func TestMirrorLeavesOthersAlone(t *testing.T) {
	cfg := config(t)
	prefix := cfg.Prefix + "/"
	m := newStore(t, cfg).Mirror("one")
	put(t, prefix+"notes", "mine")
	desired := map[string]string{"a/path": "/a"}
	sync1(t, m, desired)
	before := list(t, prefix)
	t.Run("names that are no fields are not written", func(t *testing.T) {
		bad := maps.Clone(desired)
		bad["a/../../x/path"], bad["x/secret"], bad["notes"] = "x", "x", "x"
		sync1(t, m, bad)
		if diff := cmp.Diff(before, list(t, prefix)); diff != "" {
			t.Errorf("keys (-before +after):\n%s", diff)
		}
	})
	t.Run("another namespace with the same prefix removes nothing", func(t *testing.T) {
		other := cfg
		other.Namespace = cfg.Namespace + "2"
		sync1(t, newStore(t, other).Mirror("other"), nil)
		if diff := cmp.Diff(before, list(t, prefix)); diff != "" {
			t.Errorf("keys (-before +after):\n%s", diff)
		}
	})
}

func index(tb testing.TB, prefix string) uint64 {
	tb.Helper()
	pairs, _, err := direct.KV().List(prefix, nil)
	if err != nil {
		tb.Fatal(err)
	}
	var last uint64
	for _, p := range pairs {
		last = max(last, p.ModifyIndex)
	}
	return last
}

// source is a Source whose content the test sets.
type source struct {
	mu      sync.Mutex
	content map[string]string
	changed chan struct{}
}

func newSource(content map[string]string) *source {
	return &source{content: content, changed: make(chan struct{})}
}

func (s *source) Mirror() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.content)
}

func (s *source) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *source) set(content map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content = content
	close(s.changed)
	s.changed = make(chan struct{})
}

func TestMirrorIsWrittenByOneReplica(t *testing.T) {
	cfg := config(t)
	prefix := cfg.Prefix + "/"
	first, second := newSource(map[string]string{"a/path": "/1"}), newSource(map[string]string{"a/path": "/2"})
	run := func(name string, src *source) func() {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			err := newStore(t, cfg).Mirror(name).Run(ctx, src, func(err error) {
				if err != nil && !errors.Is(err, context.DeadlineExceeded) { // the next attempt does better
					t.Errorf("%s: %v", name, err)
				}
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		return func() { cancel(); wg.Wait() }
	}
	shows := func(text string) func() bool {
		return func() bool { return list(t, prefix)["a/path"] == text }
	}

	stopFirst := run("first", first)
	eventually(t, "the first writes", shows("/1"))
	if holder := list(t, "sluice/"+cfg.Namespace+"/mirror/")["lock"]; holder != "first" {
		t.Errorf("lock held by %q", holder)
	}
	stopSecond := run("second", second)
	defer stopSecond()
	first.set(map[string]string{"a/path": "/1b"})
	eventually(t, "the first writes its change", shows("/1b"))
	stopFirst()
	eventually(t, "the second takes over", shows("/2"))

	t.Run("without the lock nothing is written", func(t *testing.T) {
		held, third := false, newStore(t, cfg).Mirror("third")
		err := answered(func() (err error) { held, err = third.Sync(t.Context(), map[string]string{"a/path": "/3"}); return err })
		if held || err != nil || !shows("/2")() {
			t.Errorf("held %v, %v", held, err)
		}
	})
}

func TestMirrorAfterItsHolderDied(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	dead := newStore(t, cfg).Mirror("dead")
	sync1(t, dead, map[string]string{"a/path": "/dead"})
	// Its session is not renewed any more, and ends.
	next := newStore(t, cfg).Mirror("next")
	sync1(t, next, map[string]string{"a/path": "/next"})
	held := false
	err := answered(func() (err error) {
		held, err = dead.Sync(t.Context(), map[string]string{"a/path": "/dead"})
		return err
	})
	if held || err != nil {
		t.Errorf("the dead one again: held %v, %v", held, err)
	}
	if got := list(t, cfg.Prefix+"/")["a/path"]; got != "/next" {
		t.Errorf("mirror shows %q", got)
	}
}
