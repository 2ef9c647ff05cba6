package events_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/events"
)

// BenchmarkWrite measures a change from the call until it is durable in a real NATS, which
// syncs every message to the disk, and folded here.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 50} {
		b.Run(fmt.Sprintf("writers-%d", writers), func(b *testing.B) {
			r := startReplica(startServer(b), nil)
			r.fresh()
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
						c := events.Change{Key: fmt.Sprintf("service/service-%d", i%1000), Value: document(i)}
						if _, err := r.Write(b.Context(), c); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
		})
	}
}
