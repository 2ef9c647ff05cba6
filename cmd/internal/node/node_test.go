package node

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/deploy/testport"
	"sluice/events"
	"sluice/proxy"
)

// A whole node on free ports, with a real HAProxy: it gets ready, takes a change, stops
// without leaving anything behind (TestMain looks), and has the change in its last snapshot.
func TestNodeStartsAndStops(t *testing.T) {
	n, stop := readyNode(t)
	receipt, err := n.replica.Write(t.Context(), events.Change{Key: "service/a", Value: []byte(`{"serviceName":"a"}`)})
	if err != nil {
		t.Error(err)
	}
	stop()
	if last := n.status.current(); !last.Leaving || last.Ready {
		t.Errorf("after the goodbye it tells %+v", last)
	}
	snap, err := diskSnapshots{filepath.Join(n.cfg.DataDir, "state.snapshot")}.Load(t.Context())
	if err != nil || snap.State.Seq() < receipt.Seq {
		t.Errorf("last snapshot %+v, %v; want it to hold sequence %d", snap, err, receipt.Seq)
	}
}

// readyNode is a node that is ready; stop stops it and waits for its end.
func readyNode(t *testing.T) (n *Node, stop func()) {
	t.Helper()
	n, err := Open(t.Context(), testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	deadline := time.After(patience)
	for !n.status.current().Ready {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("ended before it was ready: %v", err)
		case <-deadline:
			t.Fatalf("not ready: %+v", n.status.current())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return n, stop
}

// TestNodeStopsWithoutItsLog: nobody can be told goodbye, and that is no failure.
func TestNodeStopsWithoutItsLog(t *testing.T) {
	cfg := testConfig(t)
	cfg.NATS.URL = "nats://" + testport.FreeAddr(t)
	n, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	deadline := time.After(patience)
	for len(n.status.roster.Replicas()) == 0 {
		select {
		case err := <-done:
			t.Fatalf("ended: %v", err)
		case <-deadline:
			t.Fatal("it tells nothing about itself")
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func testConfig(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	c := DefaultConfig()
	c.Name, c.APIAddr, c.DataDir, c.NATS.Listen = "test", "127.0.0.1:0", filepath.Join(dir, "data"), "127.0.0.1:0"
	c.Proxy.CfgDir, c.Proxy.CertsDir, c.Proxy.SecretsDir = filepath.Join(dir, "cfg"), filepath.Join(dir, "certs"), filepath.Join(dir, "secrets")
	c.Proxy.Binds = []proxy.Bind{{Addr: "127.0.0.1", Port: testport.Free(t)}}
	c.Logger = zerolog.New(zerolog.NewTestWriter(t))
	return c
}
