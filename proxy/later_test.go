package proxy_test

import (
	"context"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"sluice/crdt/service"
	"sluice/proxy"
)

// later stands in for versions of HAProxy that this machine has none of: it records what
// it is told, and answers as they do.
type later struct {
	mu         sync.Mutex
	generation uint64
	commands   []string
	exited     chan struct{}
}

func (l *later) Check(context.Context, string) error { return nil }
func (l *later) Stop(context.Context) error          { return nil }
func (l *later) Exited() <-chan struct{}             { return l.exited }

func (l *later) Load(_ context.Context, generation uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.generation = generation
	return nil
}

func (l *later) State(context.Context) proxy.ProcessState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return proxy.ProcessState{Up: l.generation > 0, Generation: l.generation, Worker: 1}
}

func (l *later) Exec(_ context.Context, commands []string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commands = append(l.commands, commands...)
	answers := make([]string, len(commands))
	for i, c := range commands {
		if strings.HasPrefix(c, "add server") {
			answers[i] = "[6]: New server registered."
		}
	}
	return answers, nil
}

// taken are the commands since the last call.
func (l *later) taken() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.commands
	l.commands = nil
	return list
}

// documents is a Source that a test writes to.
type documents struct {
	mu      sync.Mutex
	desired proxy.Desired
	changed chan struct{}
}

func (d *documents) Desired() proxy.Desired {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.desired
}

func (d *documents) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

func (d *documents) set(t *testing.T, services ...service.Service) uint64 {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.desired.Seq++
	d.desired.Items = nil
	for i := range services {
		value, err := services[i].Canonical()
		if err != nil {
			t.Fatal(err)
		}
		d.desired.Items = append(d.desired.Items, proxy.Item{Name: services[i].Name, Version: string(value), Value: value})
	}
	close(d.changed)
	d.changed = make(chan struct{})
	return d.desired.Seq
}

// TestLaterVersions: where HAProxy can add backends there is no pool, and a service gets
// its own at once; servers may have cookies.
func TestLaterVersions(t *testing.T) {
	process := &later{exited: make(chan struct{})}
	source := &documents{desired: proxy.Desired{Ready: true, StreamID: "s"}, changed: make(chan struct{})}
	tasks := "10.0.0.1"
	var mu sync.Mutex
	c, err := proxy.NewController(proxy.Config{
		Options: testOptions(t.TempDir()), Source: source, Process: process, Logger: zerolog.Nop(), Resolve: 10 * time.Millisecond,
		Capabilities: proxy.Capabilities{AddBackend: true, Experimental: true, Cookie: true},
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			mu.Lock()
			defer mu.Unlock()
			return addresses(map[string]string{"x": tasks})("x"), nil
		},
		WriteFile: func(path string, data []byte, mode fs.FileMode) error { return os.WriteFile(path, data, mode) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() { cancel(); <-done }()
	live := func(seq uint64) {
		t.Helper()
		until(t, func() bool { return c.Report().Seq >= seq })
	}
	sticky := simple("sticky", 80, "/sticky")
	sticky.SessionType = "sticky-server"
	live(source.set(t, sticky))
	process.taken()

	live(source.set(t, simple("demo", 8080, "/demo"), sticky))
	want := []string{
		"experimental-mode on", "add backend demo-be8080_0 from pool mode http", "publish backend demo-be8080_0",
		"add server demo-be8080_0/demo 10.0.0.1:8080 weight 1 pool-max-conn 1000 pool-purge-delay 5s", "enable server demo-be8080_0/demo",
		"add map maps/routes-any.map <<\n/demo demo-be8080_0\n",
	}
	if diff := cmp.Diff(want, process.taken()); diff != "" {
		t.Errorf("a service is added (-want +got):\n%s", diff)
	}
	mu.Lock()
	tasks = "10.0.0.1 10.0.0.2"
	mu.Unlock()
	var got string
	until(t, func() bool {
		got += strings.Join(process.taken(), "\n")
		return strings.Contains(got, "add server sticky-be80_0/sticky_1 10.0.0.2:80 weight 1 pool-max-conn 1000 pool-purge-delay 5s check inter 2s fall 3 rise 2 cookie sticky_1")
	})
	live(source.set(t, sticky))
	if got := strings.Join(process.taken(), "\n"); !strings.Contains(got, "del map maps/routes-any.map /demo") || !strings.Contains(got, "del server demo-be8080_0/demo") {
		t.Errorf("a service is removed by:\n%s", got)
	}
	if r := c.Report(); r.Generation != 1 {
		t.Errorf("loads: %d", r.Generation)
	}
}

func until(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}
