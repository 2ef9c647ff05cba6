package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"sluice/deploy/testport"
)

// dns is what Docker's DNS tells: tasks.proxy and names of tasks.
type dns struct {
	tasks atomic.Pointer[[]string]
	names map[string]string
	// strangers are addresses of other programs.
	strangers []string
}

func (d *dns) set(addrs ...string) { d.tasks.Store(&addrs) }

// asker is a replica at 10.0.1.5/24.
func (d *dns) asker(log *bytes.Buffer, task string) *siblings {
	return &siblings{
		service: "proxy", task: task, log: zerolog.New(log),
		own: func() ([]netip.Prefix, error) {
			return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("10.0.1.5/24")}, nil
		},
		lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if host != "tasks.proxy." || d.tasks.Load() == nil {
				return nil, errors.New("no such host")
			}
			var out []netip.Addr
			for _, a := range *d.tasks.Load() {
				out = append(out, netip.MustParseAddr(a))
			}
			return out, nil
		},
		foreign: func(_ context.Context, addr netip.Addr) bool { return slices.Contains(d.strangers, addr.String()) },
		reverse: func(_ context.Context, addr string) ([]string, error) { return []string{d.names[addr]}, nil },
	}
}

func TestReplicaThatIsAlone(t *testing.T) {
	for name, addrs := range map[string][]string{
		"no such service": nil, "itself": {"10.0.1.5"}, "somebody else's name": {"192.0.2.1", "10.0.2.7"},
	} {
		t.Run(name, func(t *testing.T) {
			d, log := &dns{}, &bytes.Buffer{}
			if addrs != nil {
				d.set(addrs...)
			}
			if err := d.asker(log, "host").await(t.Context()); err != nil || log.Len() > 0 {
				t.Errorf("got %v, said %s", err, log)
			}
		})
	}
}

// TestReplicaBesideAStranger: another stack's service of that name is no replica.
func TestReplicaBesideAStranger(t *testing.T) {
	d, log := &dns{strangers: []string{"10.0.1.9"}}, &bytes.Buffer{}
	d.set("10.0.1.9", "10.0.1.5")
	if err := d.asker(log, "host").await(t.Context()); err != nil || log.Len() > 0 {
		t.Errorf("got %v, said %s", err, log)
	}
	d.set("10.0.1.9", "10.0.1.5", "10.0.1.7")
	if f := d.asker(log, "host").look(t.Context()); len(f.others) != 1 || f.others[0].String() != "10.0.1.7" {
		t.Errorf("others %v", f.others)
	}
}

// TestStrangersAreKnownByTheirAPI: what is Sluice, ready or not, and what cannot be asked counts.
func TestStrangersAreKnownByTheirAPI(t *testing.T) {
	ready := startWatched(t, false)
	unready := startWatched(t, false)
	unready.backend.SetReady(false)
	stranger := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, c := range map[string]struct {
		url  string
		want bool
	}{
		"a replica":               {ready.url, false},
		"one that is not ready":   {unready.url, false},
		"another program":         {stranger(http.StatusNotFound, "no such page"), true},
		"one that finds all well": {stranger(http.StatusOK, "alive"), true},
		"one that redirects":      {stranger(http.StatusFound, ""), true},
		"one without a server":    {"http://" + testport.FreeAddr(t), true},
		"for this machine alone":  {"http://127.0.0.1:1", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, port, err := net.SplitHostPort(strings.TrimPrefix(c.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			addr := ":" + port
			if port == "1" {
				addr = "127.0.0.1:1"
			}
			if got := foreignAPI(addr)(t.Context(), netip.MustParseAddr("127.0.0.1")); got != c.want {
				t.Errorf("foreign: %v", got)
			}
		})
	}
}

func TestReplicaBesideAnotherStaysUnready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := &dns{}, &bytes.Buffer{}
		d.set("10.0.1.9")
		s := d.asker(log, "sluice_proxy.2.b")
		done := make(chan error, 1)
		go func() { done <- s.await(t.Context()) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.trouble() == "" {
			t.Error("the status does not tell")
		}
		for _, line := range []string{"  proxy:", "SLUICE_NATS_URL: nats://broker:4222", "networks: [default] # one of those of proxy", "secrets: [sluice_nats_token, sluice_cluster_key] # beside"} {
			if !strings.Contains(log.String(), line) {
				t.Errorf("no %q in %s", line, log)
			}
		}
		if n := strings.Count(log.String(), `"services:"`); n != 1 {
			t.Errorf("told %d times", n)
		}
		d.set()
		if err := <-done; err != nil || s.trouble() != "" {
			t.Errorf("alone again: %v, %q", err, s.trouble())
		}
	})
}

// TestUpdatedReplicaIsNotHeld: in an update with order start-first the old task has the same slot.
func TestUpdatedReplicaIsNotHeld(t *testing.T) {
	d, log := &dns{names: map[string]string{"10.0.1.9": "sluice_proxy.1.a.proxy.", "10.0.1.8": "sluice_proxy.11.a.proxy."}}, &bytes.Buffer{}
	d.set("10.0.1.9")
	if err := d.asker(log, "sluice_proxy.1.b").await(t.Context()); err != nil || log.Len() > 0 {
		t.Errorf("got %v, said %s", err, log)
	}
	d.set("10.0.1.8")
	if f := d.asker(log, "sluice_proxy.1.b").look(t.Context()); len(f.others) != 1 {
		t.Errorf("slot 11 counts as slot 1: %v", f)
	}
}

func TestReplicasThatStartTogether(t *testing.T) {
	for name, c := range map[string]struct {
		other string
		after time.Duration
		ends  bool
	}{
		"the first in order serves on":       {"10.0.1.9", time.Second, false},
		"the other gives way":                {"10.0.1.2", 8 * time.Second, true},
		"one that has served long serves on": {"10.0.1.2", time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, log := &dns{}, &bytes.Buffer{}
				d.set("10.0.1.5")
				s := d.asker(log, "host")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- s.watch(ctx) }()
				time.Sleep(c.after)
				d.set("10.0.1.5", c.other)
				time.Sleep(time.Minute)
				synctest.Wait()
				if !strings.Contains(log.String(), `"services:"`) {
					t.Errorf("said %s", log)
				}
				if !c.ends {
					if s.trouble() == "" {
						t.Error("the status does not tell")
					}
					cancel()
				}
				if err := <-done; errors.Is(err, errSiblings) != c.ends {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}
