package broker

import (
	"context"
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// A member whose server does not take over an address goes on looking: the end of Run is the end
// of the whole process.
func TestMeshOutlivesARefusedAddress(t *testing.T) {
	looked := make(chan bool)
	var told atomic.Int32
	count := zerolog.HookFunc(func(_ *zerolog.Event, _ zerolog.Level, message string) {
		if message == "cannot find all peers" {
			told.Add(1)
		}
	})
	m, err := StartMesh(MeshConfig{
		Name: "a", Cluster: "edge", Secret: "0123456789 mesh secret", Listen: "127.0.0.1:0", Peers: []string{"tasks.proxy"},
		Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			select {
			case looked <- true:
			case <-ctx.Done():
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.9")}, nil
		},
		Interval: time.Millisecond, Logger: zerolog.New(io.Discard).Hook(count),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Shutdown()
	m.opts.Cluster.Name = "no name" // which the server refuses
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	for range 3 {
		select {
		case <-looked:
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if n := told.Load(); n != 1 {
		t.Errorf("the failure is told %d times", n)
	}
}
