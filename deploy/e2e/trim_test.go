package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// logStream is the stream of the replicas of these tests.
const logStream = "SLUICE_DOCKER-FLOW"

func jetStream(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// head is the first sequence that the log still has.
func head(t testing.TB, js jetstream.JetStream) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), logStream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.FirstSeq
}

// newestCheckpoint is the name of the newest one, which begins with its position; empty: none.
func newestCheckpoint(t testing.TB, js jetstream.JetStream) string {
	t.Helper()
	store, err := js.ObjectStore(t.Context(), logStream+"_CHECKPOINTS")
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	eventually(t, patience, "the checkpoints are listed", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // a list whose last object goes meanwhile has no end
		defer cancel()
		list, err := store.List(ctx)
		if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
			return err
		}
		for _, o := range list {
			newest = max(newest, o.Name)
		}
		return nil
	})
	return newest
}

// fillLog publishes events without effect until the log's head goes. A log of 4 MiB is full within
// a moment, so that this waits for the checkpoints that are due at each sixteenth of it.
func fillLog(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	large := []byte(strings.Repeat("no event ", 12_000))
	for range 20 {
		before := newestCheckpoint(t, js)
		for range 3 {
			if _, err := js.Publish(t.Context(), "sluice.docker-flow.ctl.tick", large); err != nil {
				t.Fatalf("fill the log: %v", err)
			}
		}
		eventually(t, patience, "another checkpoint", func() error {
			if now := newestCheckpoint(t, js); now == before {
				return fmt.Errorf("still %q", now)
			}
			return nil
		})
		if head(t, js) > 1 {
			return
		}
	}
	t.Fatal("60 large events are in a log of 4 MiB, and its head is not trimmed")
}

// TestTrimmedLog: a log that gets full loses its head and nothing else. Who has nothing starts
// from a checkpoint, who was away for long goes on from one; without any, an operator is told
// what to do, and the log begins anew from the state that is left.
func TestTrimmedLog(t *testing.T) {
	n := startNATS(t)
	js := jetStream(t, connect(t, n.url()))
	small := []string{"--nats-url", n.url(), "--log-size", fmt.Sprint(4 << 20), "--checkpoint-every", "3s"}
	port := startBackend(t, "one")

	away := startReplica(t, "away", small...)
	away.reconfigure(t, "first", port)
	away.reconfigure(t, "gone", port)
	away.stop(t, os.Interrupt)
	old := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(old, os.DirFS(filepath.Join(away.dir, "data"))); err != nil {
		t.Fatal(err)
	}

	busy := startReplica(t, "busy", small...)
	busy.reconfigure(t, "second", port)
	busy.remove(t, "gone")
	fillLog(t, js)
	want, err := busy.own()
	if err != nil {
		t.Fatal(err)
	}
	busy.stop(t, os.Interrupt)

	newcomer := newReplica(t, "newcomer", small...)
	t.Run("who has nothing starts from a checkpoint", func(t *testing.T) {
		newcomer.start(t).ready(t, 2*patience)
		checkState(t, newcomer, want.Digest)
	})
	t.Run("who was away for long goes on from a checkpoint", func(t *testing.T) {
		away.start(t).ready(t, 2*patience)
		checkState(t, away, want.Digest)
		eventually(t, patience, "both agree", func() error { return unburdened([]*replica{newcomer, away}) })
		if code, out := cli(t, away, "recover", "new-log"); code != 4 || !strings.Contains(out, "nothing to recover") {
			t.Errorf("recover while all is well: exit %d, %s", code, out)
		}
	})
	newcomer.stop(t, os.Interrupt)
	away.stop(t, os.Interrupt)
	if err := js.DeleteObjectStore(t.Context(), logStream+"_CHECKPOINTS"); err != nil {
		t.Fatal(err)
	}

	t.Run("without any checkpoint an operator is told what to do, and does it", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(away.dir, "data")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(old, filepath.Join(away.dir, "data")); err != nil {
			t.Fatal(err)
		}
		away.start(t).ready(t, 2*patience)
		if err := away.routed("/first", "one"); err != nil {
			t.Errorf("the old state is not served: %v", err)
		}
		eventually(t, patience, "status names the command", func() error {
			if code, out := cli(t, away, "status"); code != 0 || !strings.Contains(out, "`sluice recover new-log`") {
				return fmt.Errorf("exit %d: %s", code, out)
			}
			return nil
		})
		if code, out := cli(t, away, "recover", "new-log"); code != 0 || !strings.Contains(out, "the log was deleted") {
			t.Fatalf("recover: exit %d, %s", code, out)
		}
		eventually(t, patience, "the log begins anew", away.fresh)
		for _, path := range []string{"/first", "/gone"} { // what the old state held
			if err := away.routed(path, "one"); err != nil {
				t.Error(err)
			}
		}
		away.reconfigure(t, "third", port, "wait", "all")
	})
}

// checkState waits until the map is as expected and everything that lives is routed.
func checkState(t testing.TB, r *replica, digest string) {
	t.Helper()
	eventually(t, patience, r.name+" has the whole state", func() error {
		s, err := r.own()
		if err == nil && (s.Digest != digest || s.Stale != "") {
			err = fmt.Errorf("digest %s, want %s, stale %q", s.Digest, digest, s.Stale)
		}
		return err
	})
	for _, path := range []string{"/first", "/second"} {
		if err := r.routed(path, "one"); err != nil {
			t.Error(err)
		}
	}
	mustStatus(t, r.request("/gone"), http.StatusServiceUnavailable)
}
