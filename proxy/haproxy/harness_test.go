package haproxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/crdt/seal"
	"sluice/crdt/service"
	"sluice/deploy/testport"
	"sluice/proxy"
	"sluice/proxy/haproxy"
)

// patience is how long a test waits for anything: a machine with much other work may take long
// for a load.
const patience = time.Minute

// memory is a Source that tests write to.
type memory struct {
	mu      sync.Mutex
	desired proxy.Desired
	changed chan struct{}
}

func (m *memory) Desired() proxy.Desired {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.desired
	d.Items = append([]proxy.Item(nil), d.Items...)
	return d
}

func (m *memory) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// put replaces or adds one item and returns the position of the change.
func (m *memory) put(name string, value []byte) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.desired.Seq++
	it := proxy.Item{Name: name, Version: fmt.Sprintf("v%d", m.desired.Seq), Value: value}
	items := append([]proxy.Item(nil), m.desired.Items...)
	at := 0
	for at < len(items) && items[at].Name < name {
		at++
	}
	if at < len(items) && items[at].Name == name {
		items[at] = it
	} else {
		items = append(items[:at], append([]proxy.Item{it}, items[at:]...)...)
	}
	m.desired.Items = items
	close(m.changed)
	m.changed = make(chan struct{})
	return m.desired.Seq
}

// rig is one controller with a real HAProxy and echo backends.
type rig struct {
	testing.TB
	source     *memory
	controller *proxy.Controller
	options    proxy.Options
	config     haproxy.Config
	key        *seal.Key
	http       int // entry port
	tls        int
	stop       func()

	mu      sync.Mutex
	earlier map[string][][]byte
}

type rigChange func(*rig, *proxy.Config)

func newRig(t testing.TB, changes ...rigChange) *rig {
	t.Helper()
	binary, err := haproxy.Find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.Parse(strings.Repeat("k", 40))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "hx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &rig{
		TB: t, key: key, http: testport.Free(t), tls: testport.Free(t), earlier: map[string][][]byte{},
		source: &memory{desired: proxy.Desired{Ready: true, StreamID: "s"}, changed: make(chan struct{})},
	}
	o := proxy.DefaultOptions()
	o.CfgDir, o.CertsDir, o.ErrorfilesDir, o.SecretsDir, o.BindAddr = dir, "", "", "", "127.0.0.1"
	o.Binds = []proxy.Bind{{Addr: "127.0.0.1", Port: r.http}}
	o.AuthKey, o.OpenBox = key.AuthKey(), key.Open
	r.config = haproxy.Config{
		Binary: binary, ConfigFile: proxy.ConfigPath(&o), PoolFile: proxy.PoolPath(&o), Socket: proxy.SocketPath(&o), MasterSocket: proxy.MasterSocketPath(&o),
		StopTimeout: 500 * time.Millisecond, Logger: zerolog.Nop(),
	}
	cfg := proxy.Config{
		Options: o, Source: r.source, Process: haproxy.New(r.config), WriteFile: writeFile, Logger: zerolog.Nop(),
		Lookup: hosts(nil), Interval: 50 * time.Millisecond, Earlier: r.history,
		Capabilities: binary.Capabilities(),
	}
	for _, change := range changes {
		change(r, &cfg)
	}
	r.options = cfg.Options
	if r.controller, err = proxy.NewController(cfg); err != nil {
		t.Fatal(err)
	}
	r.run()
	return r
}

func (r *rig) history(_ context.Context, name string) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.earlier[name], nil
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.controller.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.Errorf("run: %v", err)
		}
	})
	r.Cleanup(r.stop)
}

// hosts answers lookups from a table; every other name does not exist.
func hosts(table map[string]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		var list []netip.Addr
		for _, text := range strings.Fields(table[host]) {
			list = append(list, netip.MustParseAddr(text))
		}
		if len(list) == 0 {
			return nil, errors.New("no such host")
		}
		return list, nil
	}
}

func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// echo is a backend that answers with what it saw.
func echo(t testing.TB, name string) (port string) {
	t.Helper()
	s := httptest.NewServer(answering(name))
	t.Cleanup(s.Close)
	return s.URL[strings.LastIndexByte(s.URL, ':')+1:]
}

type seen struct {
	Backend, Path string
	Header        http.Header
}

func answering(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend", name)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(seen{name, r.RequestURI, r.Header}) // the client sees a broken answer
	}
}

// reconfigure makes a Docker Flow Proxy query live.
func (r *rig) reconfigure(query string) {
	r.Helper()
	r.live(r.publish(query))
}

func (r *rig) publish(query string) uint64 {
	r.Helper()
	name, value := r.value(query)
	return r.source.put(name, value)
}

func (r *rig) value(query string) (string, []byte) {
	r.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		r.Fatal(err)
	}
	request, err := service.Parse(q, service.Defaults{Separator: ","})
	if err != nil {
		r.Fatal(err)
	}
	s := request.Service
	if err := s.Validate(service.Limits{TemplatesDir: r.options.TemplatesDir != ""}); err != nil {
		r.Fatal(err)
	}
	if err := s.Protect(r.key); err != nil {
		r.Fatal(err)
	}
	value, err := s.Canonical()
	if err != nil {
		r.Fatal(err)
	}
	return s.Name, value
}

func (r *rig) live(seq uint64) {
	r.Helper()
	r.await("the change to be live", func() bool { return r.controller.Report().Seq >= seq })
}

// await waits for a condition, with a deadline.
func (r *rig) await(what string, condition func() bool) {
	r.Helper()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-deadline:
			r.Fatalf("waited in vain for %s; report %+v", what, r.controller.Report())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
