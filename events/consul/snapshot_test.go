package consul_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/consul"
)

const streamID = "0123456789abcdef0123456789abcdef"

// snapshot is a state of n entries at position seq; the values do not compress.
func snapshot(namespace string, seq uint64, n int) events.Snapshot {
	random := rand.New(rand.NewPCG(seq, 1))
	m := crdt.NewMap()
	for i := range n {
		value := make([]byte, 0, 1024)
		value = append(value, `{"serviceName":"`...)
		for len(value) < 1000 {
			value = fmt.Appendf(value, "%016x", random.Uint64())
		}
		value = append(value, `"}`...)
		m.Merge(crdt.Entry{Key: fmt.Sprintf("service/s%d", i), Stamp: crdt.Stamp{HLC: seq<<16 + uint64(i), Node: 1 << 63}, Value: value})
	}
	return events.Snapshot{
		Namespace: namespace,
		Taken:     time.Date(2026, 11, 23, 10, 0, 0, 123, time.UTC),
		State:     &events.State{StreamID: streamID, Params: events.DefaultParams(), Ref: 7, Anchor: events.Anchor{Seq: seq, Time: 42}, Map: m},
	}
}

func save(tb testing.TB, s *consul.Store, snap events.Snapshot) {
	tb.Helper()
	if err := answered(func() error { return s.Save(tb.Context(), snap) }); err != nil {
		tb.Fatalf("save: %v", err)
	}
}

func load(tb testing.TB, s *consul.Store) events.Snapshot {
	tb.Helper()
	var snap events.Snapshot
	err := answered(func() (err error) { snap, err = s.Load(tb.Context()); return err })
	if err != nil {
		tb.Fatalf("load: %v", err)
	}
	return snap
}

func TestSnapshot(t *testing.T) {
	cfg := config(t)
	s := newStore(t, cfg)
	if _, err := s.Load(t.Context()); !errors.Is(err, events.ErrNoSnapshot) {
		t.Fatalf("load from an empty store: %v", err)
	}

	first := snapshot(cfg.Namespace, 5, 800)
	save(t, s, first)
	got := load(t, s)
	if got.State.StreamID != streamID || got.State.Seq() != 5 || got.State.Map.Digest() != first.State.Map.Digest() || got.Namespace != cfg.Namespace {
		t.Errorf("loaded seq %d of %s, digest %x", got.State.Seq(), got.State.StreamID, got.State.Map.Digest())
	}
	if diff := cmp.Diff(first.State.Map.Sorted(), got.State.Map.Sorted()); diff != "" {
		t.Errorf("entries (-saved +loaded):\n%s", diff)
	}
	if n := len(chunks(t, cfg)); n < 3 {
		t.Errorf("%d chunks; the test is to make several", n)
	}

	t.Run("an older position of the same log does not replace it", func(t *testing.T) {
		save(t, s, snapshot(cfg.Namespace, 4, 1))
		if seq := load(t, s).State.Seq(); seq != 5 {
			t.Errorf("loaded position %d, want 5", seq)
		}
	})
	t.Run("a newer one does, and the old chunks go", func(t *testing.T) {
		save(t, s, snapshot(cfg.Namespace, 6, 10))
		if seq := load(t, s).State.Seq(); seq != 6 {
			t.Errorf("loaded position %d, want 6", seq)
		}
		if n := len(chunks(t, cfg)); n != 1 {
			t.Errorf("%d chunks are left, want 1", n)
		}
	})
	t.Run("an older one of another log does", func(t *testing.T) {
		other := snapshot(cfg.Namespace, 1, 1)
		other.State.StreamID = strings.Repeat("f", 32)
		save(t, s, other)
		if id := load(t, s).State.StreamID; id != other.State.StreamID {
			t.Errorf("loaded %s", id)
		}
	})
	t.Run("of another namespace is not saved", func(t *testing.T) {
		if err := s.Save(t.Context(), snapshot("other", 9, 1)); !errors.Is(err, events.ErrForeignSnapshot) {
			t.Errorf("save: %v", err)
		}
	})
}

// What a dead save left behind goes, what a living one writes stays.
func TestSaveRemovesLeftovers(t *testing.T) {
	cfg := config(t)
	s := newStore(t, cfg)
	old := fmt.Sprintf("%016x-%016x", time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).UnixMilli(), 1)
	young := fmt.Sprintf("%016x-%016x", time.Date(2026, 11, 23, 9, 59, 0, 0, time.UTC).UnixMilli(), 2)
	for _, id := range []string{old, young, "not-ours"} {
		put(t, "sluice/"+cfg.Namespace+"/snapshot/chunks/"+id+"/0", "x")
	}
	save(t, s, snapshot(cfg.Namespace, 7, 1))
	left := chunks(t, cfg)
	if _, ok := left[old+"/0"]; ok {
		t.Error("the old leftover is still there")
	}
	for _, id := range []string{young, "not-ours"} {
		if _, ok := left[id+"/0"]; !ok {
			t.Errorf("%s was removed", id)
		}
	}
}

// The answer to the last write of a save is lost, and with it whether the snapshot counts: it is
// whole all the same.
func TestSaveWithALostAnswer(t *testing.T) {
	cfg := config(t)
	agent := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: agentAddr})
	lossy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("cas") {
			agent.ServeHTTP(w, r)
			return
		}
		agent.ServeHTTP(httptest.NewRecorder(), r)
		http.Error(w, "rpc error: i/o deadline reached", http.StatusInternalServerError)
	}))
	defer lossy.Close()
	through := cfg
	through.Addrs = []string{lossy.Listener.Addr().String()}
	if err := newStore(t, through).Save(t.Context(), snapshot(cfg.Namespace, 5, 800)); err == nil {
		t.Error("an answer came")
	}
	s := newStore(t, cfg)
	if seq := load(t, s).State.Seq(); seq != 5 {
		t.Errorf("loaded position %d, want 5", seq)
	}
	save(t, s, snapshot(cfg.Namespace, 6, 1))
	if n := len(chunks(t, cfg)); n != 1 {
		t.Errorf("%d chunks are left, want 1", n)
	}
}

func chunks(tb testing.TB, cfg consul.Config) map[string]string {
	return list(tb, "sluice/"+cfg.Namespace+"/snapshot/chunks/")
}

func manifestKey(cfg consul.Config) string { return "sluice/" + cfg.Namespace + "/snapshot/manifest" }

// A reader always finds one whole snapshot, never an older one than before, while several write.
func TestLoadWhileOthersSave(t *testing.T) {
	cfg := config(t)
	save(t, newStore(t, cfg), snapshot(cfg.Namespace, 1, 300))
	var writers sync.WaitGroup
	var saves atomic.Int64
	for w := range 2 {
		s := newStore(t, cfg)
		writers.Go(func() {
			for seq := uint64(2); seq <= 20; seq++ {
				next := snapshot(cfg.Namespace, seq*2+uint64(w), 300)
				if err := answered(func() error { saves.Add(1); return s.Save(context.Background(), next) }); err != nil {
					t.Errorf("save: %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	reader := newStore(t, cfg)
	var last uint64
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		seq := load(t, reader).State.Seq()
		if seq < last {
			t.Errorf("position %d after %d", seq, last)
		}
		last = seq
	}
	if last != 41 {
		t.Errorf("last position %d, want 41", last)
	}
	ids := map[string]bool{}
	for name := range chunks(t, cfg) {
		ids[strings.SplitN(name, "/", 2)[0]] = true
	}
	lost := int(saves.Load()) - 2*19 // what an answer did not come to is left for an hour
	if len(ids) < 1 || len(ids) > 1+lost {
		t.Errorf("chunks of %d snapshots are left, want 1, and %d answers did not come", len(ids), lost)
	}
}

func TestUnreachableConsul(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{"nobody listens": "127.0.0.1:1", "nobody answers": deaf(t), "no leader": failing(t)} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			cfg.Addrs = []string{addr}
			s := newStore(t, cfg)
			eventually(t, "it takes less than eight seconds to say so", func() bool { // each time, unless the machine stands still
				began := time.Now()
				_, err := s.Load(t.Context())
				if err == nil || errors.Is(err, events.ErrNoSnapshot) || errors.Is(err, events.ErrCorruptSnapshot) {
					t.Errorf("load: %v", err)
				}
				if err := s.Save(t.Context(), snapshot(cfg.Namespace, 1, 1)); err == nil {
					t.Error("saved")
				}
				if _, err := s.Mirror("test").Sync(t.Context(), nil); err == nil {
					t.Error("mirrored")
				}
				return time.Since(began) < 8*time.Second
			})

			cfg.Addrs = append(cfg.Addrs, agentAddr)
			s = newStore(t, cfg)
			save(t, s, snapshot(cfg.Namespace, 1, 1))
			load(t, s)
		})
	}
	t.Run("context ends", func(t *testing.T) {
		cfg := config(t)
		cfg.Addrs = []string{deaf(t), deaf(t)}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := newStore(t, cfg).Load(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("load: %v", err)
		}
	})
}

func TestNewReportsAllProblems(t *testing.T) {
	_, err := consul.New(consul.Config{Addrs: []string{"ftp://a", "http://me:hunter2@b:8500"}, Namespace: "No", Prefix: "../x"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"host:port", "its own setting", "namespace", "prefix"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %q repeats a password", err)
	}
	if _, err := consul.New(consul.Config{Namespace: "a"}); err == nil {
		t.Error("accepted no address")
	}
}

func TestTokenGoesToConsulOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tokens := make(chan string, 10)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens <- r.Header.Get("X-Consul-Token")
		http.Error(w, "denied", http.StatusForbidden)
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	cfg := config(t)
	cfg.Addrs, cfg.Token = []string{l.Addr().String(), agentAddr}, "hunter2"
	_, err = newStore(t, cfg).Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), "denied") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("load: %v; want the refusal without the token, and no other agent asked", err)
	}
	if got := <-tokens; got != "hunter2" {
		t.Errorf("token %q", got)
	}
}
