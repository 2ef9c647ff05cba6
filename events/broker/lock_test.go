package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/events/broker"
)

func locked(t *testing.T, cfg broker.LockConfig) *broker.DirLock {
	t.Helper()
	l, err := broker.LockDir(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// waits tells that somebody waits for the lock.
type waits chan string

func (w waits) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("waiting for that to stop")) {
		w <- string(line)
	}
	return len(line), nil
}

func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	first := locked(t, broker.LockConfig{Dir: dir, Holder: "replica a", Logger: zerolog.Nop()})
	holder := fmt.Sprintf("replica a, process %d on ", os.Getpid())
	t.Run("refuses a directory in use after its time", func(t *testing.T) {
		_, err := broker.LockDir(t.Context(), broker.LockConfig{Dir: dir, Wait: time.Millisecond, Logger: zerolog.Nop()})
		for _, part := range []string{"--data-dir", dir, "in use", holder, "volume of its own", "one task a node", "stop-first"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("error %v does not say %q", err, part)
			}
		}
	})
	t.Run("waits no longer than its caller", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := broker.LockDir(ctx, broker.LockConfig{Dir: dir, Wait: time.Hour, Logger: zerolog.Nop()}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("waits for a process that leaves, and says so", func(t *testing.T) {
		told, done := make(waits, 1), make(chan error, 1)
		go func() {
			l, err := broker.LockDir(t.Context(), broker.LockConfig{Dir: dir, Holder: "replica b", Wait: patience, Logger: zerolog.New(told)})
			done <- errors.Join(err, l.Close())
		}()
		select {
		case line := <-told:
			if !strings.Contains(line, holder) {
				t.Errorf("it does not name the holder: %s", line)
			}
		case err := <-done:
			t.Fatalf("locked twice: %v", err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("is free again", func(t *testing.T) {
		locked(t, broker.LockConfig{Dir: dir, Logger: zerolog.Nop()})
	})
}
