package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStart: from the start of the program on its data directory, with 10,000
// services in its log, until a request for the last of them is answered; and the memory
// that it then takes.
func BenchmarkStart(b *testing.B) {
	const routes = 10_000
	r := startReplica(b, "local")
	took := fill(b, r, routes, startUpstream(b, "one")[0])
	figures.remark("10000 services, from the first event to the last route live", "%.1f s", took.Seconds())
	recordMemory(b, r, "10000 services", 0)
	for b.Loop() {
		var starts spread
		for _, how := range []os.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGKILL} {
			r.stop(b, how)
			gone(b, r.process)
			starts = append(starts, timeStart(b, r, routeName(routes-1)))
		}
		median, slowest := starts.at(0.5)/1000, starts.at(1)/1000
		b.ReportMetric(median, "start-s")
		figures.add(figure{
			name: "start to last route live, 10000 services", value: fmt.Sprintf("%.2f s, slowest of %d %.2f s", median, len(starts), slowest),
			target: "< 3 s", met: median < 3,
		})
	}
	eventually(b, 30*time.Second, "fresh", r.fresh)
	recordMemory(b, r, "10000 services after a restart", 0)
}

// BenchmarkMemory: Sluice and HAProxy together, with 1,000 services.
func BenchmarkMemory(b *testing.B) {
	const routes = 1_000
	for b.Loop() {
		r := startReplica(b, "local")
		fill(b, r, routes, startUpstream(b, "one")[0])
		recordMemory(b, r, "1000 services", 100)
	}
}

// recordMemory adds the memory to the table; a limit of 0 is none.
func recordMemory(b *testing.B, r *replica, what string, limit float64) {
	b.Helper()
	sluice, haproxy := memory(b, r)
	b.ReportMetric(sluice+haproxy, "MB")
	f := figure{
		name:  "memory (RSS), " + what,
		value: fmt.Sprintf("%.0f MB: Sluice %.0f, HAProxy %.0f", sluice+haproxy, sluice, haproxy),
	}
	if limit > 0 {
		f.target, f.met = fmt.Sprintf("< %.0f MB", limit), sluice+haproxy < limit
	}
	figures.add(f)
}

// gone waits until what the process had started has ended as well: a new program must not
// find its ports taken, nor be answered for by an old worker.
func gone(b *testing.B, p *process) {
	b.Helper()
	for _, pid := range p.descendants("haproxy") {
		_ = syscall.Kill(pid, syscall.SIGKILL) // an error means that it is gone
	}
	eventually(b, 10*time.Second, "HAProxy is gone", func() error {
		if left := p.descendants("haproxy"); len(left) > 0 {
			return fmt.Errorf("still there: %v", left)
		}
		return nil
	})
}

// timeStart asks for a service all the time while the replica starts.
func timeStart(b *testing.B, r *replica, name string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	w := wire{addr: loopback(r.http)}
	defer w.close()
	request := rawRequest("/"+name+"/x", "")
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	since := time.Now()
	r.start(b)
	for {
		if got, err := w.do(ctx, request); err == nil && got.status == http.StatusOK {
			return time.Since(since)
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			b.Fatalf("/%s is not routed: %v\n%s", name, ctx.Err(), tail(r.output(), 5))
		}
	}
}
