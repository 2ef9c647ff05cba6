package e2e_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

// TestQuarantine: a version that HAProxy refuses reaches the log around the API; its last
// good version keeps serving, nobody else notices, and a good version ends it.
func TestQuarantine(t *testing.T) {
	n := startNATS(t)
	r := startReplica(t, "local", "--nats-url", n.url())
	one, two := startBackend(t, "one"), startBackend(t, "two")
	r.reconfigure(t, "web", one)
	r.reconfigure(t, "other", one)

	publishDefinition(t, n, "web", definition("web", two, "path_reg -m nonsense"))
	eventually(t, patience, "in quarantine", func() error { return r.quarantined("web") })
	if err := r.routed("/web", "one"); err != nil {
		t.Errorf("the last good version: %v", err)
	}
	r.reconfigure(t, "third", one)
	for _, path := range []string{"/other", "/third"} {
		if err := r.routed(path, "one"); err != nil {
			t.Error(err)
		}
	}
	s, err := r.own()
	if err != nil {
		t.Fatal(err)
	}
	if q := s.Quarantine[0]; q.Reason == "" || q.Version == "" || q.Serving == "" || q.Serving == q.Version {
		t.Errorf("quarantine %+v: want a reason, the refused version and the serving one", q)
	}

	t.Run("a restart does not change that", func(t *testing.T) {
		if code := r.stop(t, syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
		r.start(t).ready(t, 2*patience)
		if err := errors.Join(r.routed("/web", "one"), r.routed("/other", "one")); err != nil {
			t.Error(err)
		}
		eventually(t, patience, "in quarantine", func() error { return r.quarantined("web") })
	})
	t.Run("neither does a replica that never had the good version", func(t *testing.T) {
		fresh := startReplica(t, "fresh", "--nats-url", n.url())
		if err := errors.Join(fresh.routed("/web", "one"), fresh.routed("/other", "one")); err != nil {
			t.Error(err)
		}
		eventually(t, patience, "in quarantine", func() error { return fresh.quarantined("web") })
	})
	t.Run("a good version ends it", func(t *testing.T) {
		r.reconfigure(t, "web", two)
		if err := r.routed("/web", "two"); err != nil {
			t.Error(err)
		}
		eventually(t, patience, "out of quarantine", func() error {
			if r.quarantined("web") == nil {
				return errors.New("still in quarantine")
			}
			return nil
		})
	})
}

// quarantined is nil if exactly this service is in quarantine.
func (r *replica) quarantined(name string) error {
	s, err := r.own()
	if err == nil && (len(s.Quarantine) != 1 || s.Quarantine[0].Service != name) {
		err = fmt.Errorf("quarantine of %s: %+v", r.name, s.Quarantine)
	}
	return err
}
