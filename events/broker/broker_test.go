package broker_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"sluice/events/broker"
)

// patience bounds every wait of the tests.
const patience = time.Minute

func config(dir string) broker.Config {
	return broker.Config{StoreDir: dir, MaxStore: 128 << 20, Logger: zerolog.Nop()}
}

func start(tb testing.TB, cfg broker.Config) *broker.Server {
	tb.Helper()
	b, err := broker.Start(context.Background(), cfg)
	if err != nil {
		tb.Fatalf("start: %v", err)
	}
	tb.Cleanup(func() { shutdown(tb, b) })
	return b
}

func shutdown(tb testing.TB, b *broker.Server) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Shutdown(ctx); err != nil {
		tb.Errorf("shutdown: %v", err)
	}
}

// connect returns JetStream on a client connection; opts may carry an in-process server.
func connect(tb testing.TB, url string, opts ...nats.Option) jetstream.JetStream {
	tb.Helper()
	nc, err := nats.Connect(url, append(opts, nats.Timeout(patience))...)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		tb.Fatalf("jetstream: %v", err)
	}
	return js
}

func declare(tb testing.TB, js jetstream.JetStream) {
	tb.Helper()
	_, err := js.CreateStream(tb.Context(), jetstream.StreamConfig{
		Name: "T", Subjects: []string{"t.>"}, Storage: jetstream.FileStorage, MaxBytes: 100 << 20,
	})
	if err != nil {
		tb.Fatalf("create stream: %v", err)
	}
}

func refuses(t *testing.T, cfg broker.Config, parts ...string) {
	t.Helper()
	b, err := broker.Start(context.Background(), cfg)
	if err == nil {
		shutdown(t, b)
		t.Fatalf("started, want an error with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestStart(t *testing.T) {
	t.Run("in process without a port", func(t *testing.T) {
		b := start(t, config(t.TempDir()))
		declare(t, connect(t, "", nats.InProcessServer(b)))
		if got := b.ClientURL(); got != "" {
			t.Errorf("client URL %q, want none", got)
		}
		if err := b.Healthy(); err != nil {
			t.Errorf("healthy: %v", err)
		}
		if got := b.MaxStore(); got != 128<<20 {
			t.Errorf("max store %d", got)
		}
	})
	t.Run("on a free port", func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.Listen = "127.0.0.1:0"
		b := start(t, cfg)
		declare(t, connect(t, b.ClientURL()))
	})
	t.Run("token is asked of every client", func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.Listen, cfg.Token = "127.0.0.1:0", "a token of the node's own"
		b := start(t, cfg)
		if _, err := nats.Connect(b.ClientURL(), nats.Timeout(patience)); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("without token: %v", err)
		}
		declare(t, connect(t, "", nats.InProcessServer(b), nats.Token(cfg.Token)))
	})
	t.Run("limit chosen by the disk", func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.MaxStore = 0
		if got := start(t, cfg).MaxStore(); got < broker.MinStore || got > 8<<30 {
			t.Errorf("max store %d", got)
		}
	})
}

func TestStartRefuses(t *testing.T) {
	t.Run("busy port", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		cfg := config(t.TempDir())
		cfg.Listen = l.Addr().String()
		refuses(t, cfg, "--nats-listen", cfg.Listen, "in use")
	})
	t.Run("address without port", func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.Listen = "localhost"
		refuses(t, cfg, "--nats-listen", "host:port")
	})
	t.Run("directory that is a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		write(t, file, "x")
		refuses(t, config(file), "--data-dir", file)
		refuses(t, config(filepath.Join(file, "below")), "--data-dir", file)
	})
	t.Run("no directory", func(t *testing.T) {
		refuses(t, config(""), "--data-dir")
	})
	t.Run("directory in use", func(t *testing.T) {
		dir := t.TempDir()
		start(t, config(dir))
		refuses(t, config(dir), "--data-dir", "in use")
	})
	t.Run("store of another mode", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "identity"), "mode=cluster:edge\nname=x\nmax_store=1\n")
		refuses(t, config(dir), "--data-dir", "cluster:edge", "empty directory")
	})
	t.Run("store of another program", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "jetstream"), 0o700); err != nil {
			t.Fatal(err)
		}
		refuses(t, config(dir), "--data-dir", "another program")
	})
	t.Run("damaged identity", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "identity"), "max_store=many\n")
		refuses(t, config(dir), "identity", "max_store")
	})
	t.Run("limit that holds nothing", func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.MaxStore = 1
		refuses(t, cfg, "at least")
	})
}

func TestStoreKeepsItsGreatestLimit(t *testing.T) {
	dir := t.TempDir()
	b := start(t, config(dir))
	declare(t, connect(t, "", nats.InProcessServer(b))) // reserves 100 MiB
	shutdown(t, b)

	cfg := config(dir)
	cfg.MaxStore = 64 << 20
	b = start(t, cfg)
	if got := b.MaxStore(); got != 128<<20 {
		t.Errorf("max store %d, want what the store had", got)
	}
	if _, err := connect(t, "", nats.InProcessServer(b)).Stream(t.Context(), "T"); err != nil {
		t.Errorf("stream after the restart: %v", err)
	}
}

func TestShutdown(t *testing.T) {
	t.Run("may be repeated and frees the store", func(t *testing.T) {
		dir := t.TempDir()
		b := start(t, config(dir))
		shutdown(t, b)
		shutdown(t, b)
		if b.Healthy() == nil {
			t.Error("healthy after the end")
		}
		start(t, config(dir))
	})
	t.Run("is bounded", func(t *testing.T) {
		b := start(t, config(t.TempDir()))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := b.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown: %v", err)
		}
	})
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}
