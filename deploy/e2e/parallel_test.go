package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
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
