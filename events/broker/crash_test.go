package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"sluice/events/broker"
)

// childDir makes the test binary a broker of its own, to be killed by its parent.
const childDir = "SLUICE_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func child(dir string) {
	cfg := config(dir)
	cfg.Listen = "127.0.0.1:0"
	b, err := broker.Start(context.Background(), cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(b.ClientURL())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends or kills it
}

// spawn starts a broker process and returns its address and a function that kills it hard.
func spawn(tb testing.TB, dir string) (string, func()) {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	tb.Cleanup(kill)
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		tb.Fatal("the broker process printed no address")
	}
	return lines.Text(), kill
}

func TestKilledBrokerKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	url, kill := spawn(t, dir)
	js := connect(t, url, nats.NoReconnect())
	declare(t, js)

	acked := make(chan int, 1)
	go func() {
		n := 0
		defer func() { acked <- n }()
		for !js.Conn().IsClosed() { // it is, once the broker is killed
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_, err := js.Publish(ctx, "t.x", []byte("event"), jetstream.WithRetryAttempts(0))
			cancel()
			if err != nil {
				continue // a slow disk takes longer
			}
			if n++; n == 50 { // killed while it goes on writing
				go kill()
			}
		}
	}()
	want := <-acked
	if want < 50 {
		t.Fatalf("only %d messages were acknowledged", want)
	}

	kill()
	b := start(t, config(dir))
	s, err := connect(t, "", nats.InProcessServer(b)).Stream(t.Context(), "T")
	if err != nil {
		t.Fatalf("stream after the kill: %v", err)
	}
	if got := s.CachedInfo().State.Msgs; got < uint64(want) {
		t.Errorf("%d messages after the kill, %d were acknowledged", got, want)
	}
}
