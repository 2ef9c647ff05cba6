package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// inParallel runs work for 0 … n-1 at once and joins the errors.
func inParallel(n int, work func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = work(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// TestParallelReconfigures: 200 services by 200 requests at once, spread over three
// replicas; all are routed by everybody, none is lost, and few loads were needed.
func TestParallelReconfigures(t *testing.T) {
	const services = 200
	_, replicas := startThree(t)
	port := startBackend(t, "one")
	before, err := replicas[0].own()
	if err != nil {
		t.Fatal(err)
	}
	err = inParallel(services, func(i int) error {
		a := replicas[i%3].dfp("reconfigure", demo(fmt.Sprintf("p%03d", i), port, "wait", "none"))
		return expectStatus(a, http.StatusOK)
	})
	if err != nil {
		t.Fatal(err)
	}
	converged(t, replicas)
	err = inParallel(services, func(i int) error {
		path := fmt.Sprintf("/p%03d/x", i)
		return errors.Join(replicas[0].routed(path, "one"), replicas[1].routed(path, "one"), replicas[2].routed(path, "one"))
	})
	if err != nil {
		t.Error(err)
	}
	after, err := replicas[0].own()
	if err != nil {
		t.Fatal(err)
	}
	if loads := after.Generation - before.Generation; loads > 10 {
		t.Errorf("%d changes took %d loads", services, loads)
	}
}

// untilRouted makes a change and returns how long it took until a request for it reached
// the backend.
func untilRouted(r *replica, name string, port int) (time.Duration, error) {
	since := time.Now()
	if err := expectStatus(r.dfp("reconfigure", demo(name, port, "wait", "none")), http.StatusOK); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := r.routed("/"+name, "one")
		if err == nil {
			return time.Since(since), nil
		}
		select {
		case <-ctx.Done():
			return 0, err
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// BenchmarkChangeToTraffic: from the request to the first routed answer.
func BenchmarkChangeToTraffic(b *testing.B) {
	for _, c := range []struct {
		name     string
		services int
		pause    time.Duration
	}{
		// A change that comes alone is loaded at once; under a stream of changes loads keep
		// their distance.
		{"alone/10-services", 10, 3 * time.Second},
		{"alone/500-services", 500, 3 * time.Second},
		{"one-after-the-other/10-services", 10, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, port := loaded(b, c.services)
			var took []time.Duration
			for b.Loop() {
				for range 10 {
					time.Sleep(c.pause)
					d, err := untilRouted(r, fmt.Sprintf("new-%d", len(took)), port)
					if err != nil {
						b.Fatal(err)
					}
					took = append(took, d)
				}
			}
			report(b, took)
		})
	}
	b.Run("parallel/200-changes", func(b *testing.B) {
		r, port := loaded(b, 10)
		var took []time.Duration
		for round := 0; b.Loop(); round++ {
			batch := make([]time.Duration, 200)
			err := inParallel(len(batch), func(i int) (err error) {
				batch[i], err = untilRouted(r, fmt.Sprintf("par-%d-%d", round, i), port)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			took = append(took, batch...)
		}
		report(b, took)
	})
}

// loaded is a node with that many services.
func loaded(b *testing.B, services int) (r *replica, port int) {
	b.Helper()
	r = startReplica(b, "local")
	port = startBackend(b, "one")
	for from := 0; from < services; from += 50 {
		err := inParallel(min(50, services-from), func(i int) error {
			return expectStatus(r.dfp("reconfigure", demo(fmt.Sprintf("old-%d", from+i), port, "wait", "none")), http.StatusOK)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	eventually(b, 30*time.Second, "loaded", r.fresh)
	return r, port
}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[int(q*float64(len(took)-1))]) / float64(time.Millisecond)
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(float64(len(took)), "changes")
}
