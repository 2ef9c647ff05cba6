package watchtest_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"sluice/deploy/e2e/watchtest"
)

// TestAWatcherInAContainer needs a Docker that SLUICE_TEST_DOCKER names, a static program in
// SLUICE_TEST_PROGRAM and an image in SLUICE_TEST_IMAGE.
func TestAWatcherInAContainer(t *testing.T) {
	docker := os.Getenv("SLUICE_TEST_DOCKER")
	if docker == "" {
		t.Skip("SLUICE_TEST_DOCKER names no Docker")
	}
	w := watchtest.Start(t, watchtest.Config{Docker: docker, Image: os.Getenv("SLUICE_TEST_IMAGE"), Program: os.Getenv("SLUICE_TEST_PROGRAM"), API: "http://127.0.0.1:1"})
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(w.Logs(), "watching Docker"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) || t.Failed() {
			t.Fatalf("it does not watch: %s", w.Logs())
		}
	}
	w.Stop()
	w.Resume()
}
