package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// BenchmarkParallel: 200 services by 200 requests at once, each measured from its request to
// the first routed one. A request each few milliseconds asks for the route: 200 clients that
// ask without a pause would measure themselves.
func BenchmarkParallel(b *testing.B) {
	const services, pause = 200, 5 * time.Millisecond
	r := startReplica(b, "local")
	port := startUpstream(b, "one")[0]
	client := keepAliveClient(b, services)
	for b.Loop() {
		took := make(spread, services)
		err := inParallel(services, func(i int) error {
			ctx, cancel := context.WithTimeout(b.Context(), changeLimit)
			defer cancel()
			name := fmt.Sprintf("p%05d", i)
			since := time.Now()
			url := r.url("/v1/docker-flow-proxy/reconfigure?" + demo(name, port, "wait", "none").Encode())
			if err := call(ctx, client, url); err != nil {
				return err
			}
			err := r.untilAnswered(ctx, name, pause)
			took[i] = time.Since(since)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		figures.remark("change to first routed request, 200 at once", "p50 %.1f ms, p99 %.1f ms", took.at(0.5), took.at(0.99))
		b.ReportMetric(took.at(0.5), "p50-ms")
		b.ReportMetric(took.at(0.99), "p99-ms")
	}
}

// untilAnswered asks for /name until somebody answers 200.
func (r *replica) untilAnswered(ctx context.Context, name string, pause time.Duration) error {
	w := wire{addr: loopback(r.http)}
	defer w.close()
	for ctx.Err() == nil {
		got, err := w.do(ctx, rawRequest("/"+name, ""))
		if err == nil && got.status == http.StatusOK {
			return nil
		}
		time.Sleep(pause) // the pace of the questions
	}
	return fmt.Errorf("/%s is not routed: %w", name, ctx.Err())
}
