package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/deploy/testport"
)

// beside is a replica with the data directory of c, and whatever else it needs of its own.
func beside(t *testing.T, c Config) Config {
	t.Helper()
	other := testConfig(t)
	other.Name, other.DataDir, other.NATS.URL = "other", c.DataDir, c.NATS.URL
	return other
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			found[e.Name()] = string(content(t, filepath.Join(dir, e.Name())))
		}
	}
	return found
}

// TestDataDirIsOneReplicas: each of two would cut off and overwrite what the other promised.
func TestDataDirIsOneReplicas(t *testing.T) {
	for name, url := range map[string]string{"with a shared log": "nats://" + testport.FreeAddr(t), "with logs of their own": ""} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			cfg.NATS.URL = url
			first, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			before := files(t, cfg.DataDir)
			late := beside(t, cfg)
			late.LockWait = time.Millisecond
			_, err = Open(t.Context(), late)
			for _, part := range []string{"--data-dir", cfg.DataDir, "replica test", "of its own"} {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v does not say %q", err, part)
				}
			}
			if diff := cmp.Diff(before, files(t, cfg.DataDir)); diff != "" {
				t.Error(diff)
			}
			next := beside(t, cfg)
			next.LockWait = patience
			opened := make(chan error, 1)
			go func() {
				n, err := Open(t.Context(), next)
				if err == nil {
					err = errors.Join(n.close(), n.dataDir.Close())
				}
				opened <- err
			}()
			if err := errors.Join(first.close(), first.dataDir.Close()); err != nil {
				t.Fatal(err)
			}
			if err := <-opened; err != nil {
				t.Errorf("after the first: %v", err)
			}
		})
	}
	t.Run("a running one leaves it when it ends", func(t *testing.T) {
		n, stop := readyNode(t)
		stop()
		late := beside(t, n.cfg)
		late.LockWait = time.Millisecond
		again, err := Open(t.Context(), late)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(again.close(), again.dataDir.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Run("and is not waited for with settings that are wrong", func(t *testing.T) {
		cfg := testConfig(t)
		cfg.Separator = ""
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Fatal("opened")
		}
		if list := files(t, cfg.DataDir); len(list) != 0 {
			t.Errorf("left in the data directory: %v", list)
		}
	})
}
