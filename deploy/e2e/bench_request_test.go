package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

const (
	hammerConns    = 16
	hammerWarmUp   = 1_000
	hammerRequests = 20_000
	hammerRounds   = 11
)

// hammered is a proxy whose cost is measured.
type hammered struct {
	name     string
	routes   int
	addr     string
	haproxy  []int
	requests [][]byte
	// cost of each round, CPU µs for a request.
	cost []float64
}

// BenchmarkRequest: what a request costs HAProxy with few and with many routes, next to a
// HAProxy with ten backends written by hand. All run at once and take turns, so that what
// else the machine does meets all alike; ratios are within one round.
func BenchmarkRequest(b *testing.B) {
	upstream := startUpstream(b, "one")[0]
	var all []*hammered
	for _, routes := range routeCounts() {
		r := startReplica(b, fmt.Sprintf("routes-%d", routes))
		fill(b, r, routes, upstream)
		if len(all) == 0 {
			all = append(all, plain(b, upstream, threadLines(b, r)))
		}
		all = append(all, &hammered{
			name: r.name, routes: routes, addr: loopback(r.http),
			haproxy: haproxies(b, r.process), requests: spreadRequests(routes),
		})
	}
	for b.Loop() {
		for range hammerRounds {
			for _, h := range all {
				if err := h.round(b.Context()); err != nil {
					b.Fatalf("%s: %v", h.name, err)
				}
			}
		}
	}
	reportCosts(b, all)
}

// routeCounts has 100,000 only if asked for: loading them takes minutes.
func routeCounts() []int {
	counts := []int{10, 100, 1_000, 10_000}
	if os.Getenv("SLUICE_BENCH_LARGE") != "" {
		counts = append(counts, 100_000)
	}
	return counts
}

func plain(b *testing.B, upstream int, threads string) *hammered {
	b.Helper()
	paths := make([]string, 10)
	for i := range paths {
		paths[i] = "/" + routeName(i)
	}
	port := freePort(b)
	p := startHAProxy(b, "plain", plainConfig(port, upstream, paths, threads), port)
	return &hammered{name: "plain", routes: 10, addr: loopback(port), haproxy: haproxies(b, p), requests: spreadRequests(10)}
}

// spreadRequests are requests for ten of the routes.
func spreadRequests(routes int) [][]byte {
	requests := make([][]byte, 10)
	for i := range requests {
		requests[i] = rawRequest("/"+routeName(i*routes/10)+"/x", "")
	}
	return requests
}

// round measures once: connections are opened and warm before.
func (h *hammered) round(ctx context.Context) error {
	wires := make([]*wire, hammerConns)
	for i := range wires {
		wires[i] = &wire{addr: h.addr}
		defer wires[i].close()
	}
	if err := hammer(ctx, wires, h.requests, hammerWarmUp); err != nil {
		return err
	}
	before, err := cpuTime(h.haproxy)
	if err != nil {
		return err
	}
	if err := hammer(ctx, wires, h.requests, hammerRequests); err != nil {
		return err
	}
	after, err := cpuTime(h.haproxy)
	if err != nil {
		return fmt.Errorf("loaded meanwhile: %w", err)
	}
	h.cost = append(h.cost, float64(after-before)/float64(time.Microsecond)/hammerRequests)
	return nil
}

// hammer sends about n requests, on each connection one after the other. All must be
// answered 200.
func hammer(ctx context.Context, wires []*wire, requests [][]byte, n int) error {
	errs := make([]error, len(wires))
	var wg sync.WaitGroup
	for i, w := range wires {
		wg.Go(func() {
			for k := range n / len(wires) {
				got, err := w.do(ctx, requests[(i+k)%len(requests)])
				if err == nil && got.status != http.StatusOK {
					err = fmt.Errorf("status %d", got.status)
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// reportCosts compares with the first, which is the plain HAProxy.
func reportCosts(b *testing.B, all []*hammered) {
	b.Helper()
	base := all[0]
	figures.remark("CPU per request, plain HAProxy with 10 backends", "%.1f µs", median(base.cost))
	for _, h := range all[1:] {
		ratio := h.ratio(base)
		b.ReportMetric(ratio, fmt.Sprintf("x-plain-%d", h.routes))
		f := figure{
			name:  fmt.Sprintf("CPU per request, %d routes", h.routes),
			value: fmt.Sprintf("%.1f µs, %.2f x plain", median(h.cost), ratio),
		}
		if h.routes >= 10_000 {
			f.target, f.met = "<= 1.3 x plain", ratio <= 1.3
		}
		figures.add(f)
	}
	few, many := withRoutes(all[1:], 100), withRoutes(all[1:], 10_000)
	ratio := many.ratio(few)
	figures.add(figure{
		name: "CPU per request, 10000 routes against 100", value: fmt.Sprintf("%.2f x", ratio),
		target: "<= 1 (5 % noise)", met: ratio <= 1.05,
	})
}

func withRoutes(all []*hammered, routes int) *hammered {
	for _, h := range all {
		if h.routes == routes {
			return h
		}
	}
	return nil
}

// ratio is the median of the ratios of the rounds.
func (h *hammered) ratio(base *hammered) float64 {
	ratios := make([]float64, len(h.cost))
	for i := range ratios {
		ratios[i] = h.cost[i] / base.cost[i]
	}
	return median(ratios)
}
