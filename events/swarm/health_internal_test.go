package swarm

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestHealthy: not before the first look, and not once looks have failed for too long.
func TestHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := New(Config{Host: "tcp://127.0.0.1:1", NotifyLabel: "n", Interval: 10 * time.Second, Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		want := func(part string) {
			t.Helper()
			switch err := w.Healthy(); {
			case (err == nil) != (part == ""):
				t.Errorf("healthy is %v, want %q", err, part)
			case err != nil && !strings.Contains(err.Error(), part):
				t.Errorf("%q does not say %q", err, part)
			}
		}
		want("end yet")
		w.failed(errors.New("no Docker"), time.Second)
		want("no Docker")
		w.succeeded()
		want("")
		w.failed(errors.New("no API"), time.Second)
		time.Sleep(90 * time.Second)
		want("")
		time.Sleep(time.Millisecond)
		want("no API")
		w.succeeded()
		want("")
		time.Sleep(91 * time.Second)
		want("end for 1m31s")
	})
}
