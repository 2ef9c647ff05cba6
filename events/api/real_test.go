package api_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sluice/crdt"
	"sluice/crdt/hlc"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
	"sluice/events/broker"
	"sluice/events/stream"
)

// realReplica is the real replica on an embedded log, as the API sees it.
type realReplica struct {
	*events.Replica
	conn *stream.Conn // to its log
}

var _ api.Replica = realReplica{}

func (r realReplica) Entries(prefix string) []crdt.Entry {
	list, _ := r.Live(prefix)
	entries := make([]crdt.Entry, len(list))
	for i, e := range list {
		entries[i] = *e
	}
	return entries
}

func (r realReplica) Status() events.Status {
	return events.Status{Name: "real", Ready: r.View().Restored}
}

// startReal runs a replica with a log of its own and waits until it may be written to.
func startReal(t testing.TB) realReplica {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Config{StoreDir: t.TempDir(), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Shutdown(context.Background()) })
	conn, err := stream.Connect(stream.ConnConfig{InProcess: b, Name: "test", Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	subjects := events.Subjects{Namespace: "test"}
	log, err := stream.New(conn, stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	node, err := hlc.NewNode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := events.NewReplica(events.ReplicaConfig{
		Subjects: subjects, Name: "real", Node: node, Log: log,
		Bootstrap: events.Bootstrap{PeerWait: time.Millisecond, Jitter: time.Millisecond},
		Logger:    zerolog.Nop(), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	runReplica(t, r)
	return realReplica{r, conn}
}

func runReplica(t testing.TB, r *events.Replica) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("replica: %v", err)
		}
	})
	deadline := time.After(patience)
	for {
		changed := r.Changed()
		if v := r.View(); v.Restored && v.Stale == "" {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no state in time: %+v", r.View())
		}
	}
}

// TestTheMemoryAnswersLikeTheRealReplica keeps the backend of the other tests honest.
func TestTheMemoryAnswersLikeTheRealReplica(t *testing.T) {
	steps := []struct {
		name, method, path, body, header string
		status                           int
		outcome                          string
	}{
		{"remove what is not there", http.MethodDelete, "/a", "", "", 200, api.OutcomeUnchanged},
		{"any version of what is not there", http.MethodPut, "/a", definition, "If-Match: *", 412, ""},
		{"create", http.MethodPut, "/a", definition, "If-None-Match: *", 200, api.OutcomeDurable},
		{"create again", http.MethodPut, "/a", definition, "If-None-Match: *", 412, ""},
		{"the same again", http.MethodPut, "/a", definition, "", 200, api.OutcomeUnchanged},
		{"another content", http.MethodPut, "/a", `{"destinations":[{"port":81,"servicePath":["/demo"]}]}`, "If-Match: *", 200, api.OutcomeDurable},
		{"another version", http.MethodPut, "/a", definition, `If-Match: "0000000000000001-8000000000000001"`, 412, ""},
		{"remove", http.MethodDelete, "/a", "", "", 200, api.OutcomeDurable},
		{"see it", http.MethodGet, "/a", "", "", 404, ""},
		{"create after the removal", http.MethodPut, "/a", definition, "If-None-Match: *", 200, api.OutcomeDurable},
	}
	real := startReal(t)
	for name, base := range map[string]string{
		"memory": serve(t, apitest.New(), nil),
		"real":   serve(t, apitest.New(), func(c *api.Config) { c.Replica = real }),
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range steps {
				var headers []string
				if s.header != "" {
					headers = []string{s.header}
				}
				got := call(t, s.method, base+"/v1/services"+s.path, s.body, headers...)
				receipt, _ := got.json(t)["receipt"].(map[string]any)
				outcome, _ := receipt["outcome"].(string)
				if got.status != s.status || outcome != s.outcome {
					t.Errorf("%s: %d %s, want %d %s", s.name, got.status, got.body, s.status, s.outcome)
				}
			}
		})
	}
	entry, _ := real.Entry("service/a")
	if got := get(t, serve(t, apitest.New(), func(c *api.Config) { c.Replica = real })+"/v1/services/a"); got.header.Get("ETag") != `"`+entry.Stamp.String()+`"` {
		t.Errorf("ETag %s, stamp %s", got.header.Get("ETag"), entry.Stamp)
	}
}
