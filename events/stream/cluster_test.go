package stream_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"sluice/deploy/testport"
	"sluice/events"
	"sluice/events/stream"
)

// startCluster starts three brokers on ports of their own.
func startCluster(tb testing.TB) []*testServer {
	tb.Helper()
	var routes []*url.URL
	members := make([]*testServer, 3)
	for i := range members {
		members[i] = &testServer{opts: &server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: testport.Free(tb), NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: tb.TempDir(), JetStreamMaxStore: 64 << 20, JetStreamMaxMemory: 16 << 20,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: testport.Free(tb)},
		}}
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", members[i].opts.Cluster.Port)})
	}
	for _, m := range members {
		m.opts.Routes = routes
		m.start(tb)
		tb.Cleanup(func() { m.stop() })
	}
	eventually(tb, "the brokers have found each other", func() bool {
		return slices.ContainsFunc(members, func(m *testServer) bool { return len(m.JetStreamClusterPeers()) == len(members) })
	})
	return members
}

func urls(members []*testServer) string {
	var list []string
	for _, m := range members {
		list = append(list, m.ClientURL())
	}
	return strings.Join(list, ",")
}

// A cluster loses its leader under load, then its quorum: every answer of Append stays true, and
// what is stored can still be read.
func TestClusterLosesMembers(t *testing.T) {
	members := startCluster(t)
	log := newLog(t, connect(t, urls(members)), stream.Config{Subjects: subjects, MaxBytes: 16 << 20, Replicas: 3})
	eventually(t, "the stream is made", func() bool {
		_, err := log.Open(t.Context())
		return err == nil
	})

	var leader int
	results := appendDuring(t, log, func() { leader = stopLeader(t, members, subjects.Stream()) })
	checkTruth(t, log, results)

	last := open(t, log).Last
	for i, m := range members {
		if i != leader {
			m.stop()
			break
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := log.Append(ctx, events.Outgoing{Subject: key, ID: "no quorum", Data: []byte("x")})
	if !errors.Is(err, events.ErrUnknownOutcome) && !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("append without quorum: %v", err)
	}
	eventually(t, "a message is read without quorum", func() bool {
		m, err := log.Get(t.Context(), last)
		return err == nil && m.Seq == last
	})
}

// appendDuring appends from several sides, some with an expectation, while fault happens.
func appendDuring(t *testing.T, log *stream.Log, fault func()) map[string]error {
	t.Helper()
	var mu sync.Mutex
	results := map[string]error{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			subject := subjects.Event(fmt.Sprint("service/w", w))
			expect := at(0)
			for i := 0; ctx.Err() == nil; i++ {
				m := events.Outgoing{Subject: subject, ID: fmt.Sprintf("%d-%d", w, i), Data: fmt.Appendf(nil, "%d-%d", w, i)}
				if w%2 == 0 {
					m.ExpectLast = expect
				}
				seq, err := log.Append(context.Background(), m)
				mu.Lock()
				results[m.ID] = err
				mu.Unlock()
				switch {
				case err == nil:
					expect = at(seq)
				default:
					if n, err := log.LastOf(context.Background(), subject); err == nil {
						expect = at(n)
					}
					pauseUntil(log.Changed())
				}
			}
		})
	}
	done := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, err := range results {
			if err == nil {
				n++
			}
		}
		return n
	}
	eventually(t, "some are stored", func() bool { return done() > 50 })
	fault()
	before := done()
	eventually(t, "it goes on after the fault", func() bool { return done() > before+20 })
	cancel()
	wg.Wait()
	return results
}

// storedIn is how often each content is in the log.
func storedIn(t *testing.T, log *stream.Log) map[string]int {
	t.Helper()
	var stored map[string]int
	err := answered(func() error {
		stored = map[string]int{}
		return log.Read(t.Context(), stream.Query{}, func(m events.Message) error { stored[string(m.Data)]++; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func checkTruth(t *testing.T, log *stream.Log, results map[string]error) {
	t.Helper()
	stored := storedIn(t, log)
	unknown := 0
	for id, err := range results {
		n := stored[id]
		switch {
		case errors.Is(err, events.ErrUnknownOutcome):
			unknown++
		case err == nil && n != 1, err != nil && n != 0, n > 1:
			t.Errorf("message %s is stored %d times, append said %v", id, n, err)
		}
	}
	t.Logf("%d appended, %d without an answer", len(results), unknown)
}
