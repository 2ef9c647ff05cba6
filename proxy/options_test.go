package proxy_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/proxy"
)

func TestParseBinds(t *testing.T) {
	got, err := proxy.ParseBinds("DEFAULT_PORTS", "8000, 8443:ssl,9000 accept-proxy,[::1]:81:ssl strict-sni,0.0.0.0:82", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	want := []proxy.Bind{
		{Addr: "127.0.0.1", Port: 8000}, {Addr: "127.0.0.1", Port: 8443, TLS: true},
		{Addr: "127.0.0.1", Port: 9000, Options: "accept-proxy"}, {Addr: "[::1]", Port: 81, TLS: true, Options: "strict-sni"}, {Addr: "*", Port: 82},
	}
	for i := range want {
		want[i].Setting = "DEFAULT_PORTS"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("binds (-want +got):\n%s", diff)
	}
	_, err = proxy.ParseBinds("BIND_PORTS", "0,x,1:2:3:4,70000", "*")
	if err == nil || strings.Count(err.Error(), "BIND_PORTS: port item") != 4 {
		t.Errorf("want all four problems, got %v", err)
	}
}

func FuzzParseBinds(f *testing.F) {
	f.Add("8000,8443:ssl x y", "*")
	f.Fuzz(func(t *testing.T, list, addr string) {
		binds, err := proxy.ParseBinds("x", list, addr)
		if err != nil {
			return
		}
		for _, b := range binds {
			if b.Port < 1 || b.Port > 65535 || strings.ContainsAny(b.Addr+b.Options, "\r\n\x00") {
				t.Errorf("%q: %+v", list, b)
			}
		}
	})
}

func TestValidateReportsEverything(t *testing.T) {
	o := proxy.DefaultOptions()
	if err := o.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	o.CfgDir, o.ConnectionMode, o.Timeouts.Tunnel, o.Binds, o.DefaultReqMode = "rel", "odd", -1, nil, "tcp"
	o.CaptureRequestHeader, o.ExtraGlobal = []string{"Host"}, []string{"a\nb"}
	err := o.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 6 {
		t.Errorf("want seven problems, got:\n%v", err)
	}
}

func TestBuildRefusesWhatWouldChangeTheStructure(t *testing.T) {
	for name, change := range map[string]func(*service.Service){
		"name":      func(s *service.Service) { s.Name = "a\nb" },
		"acl":       func(s *service.Service) { s.ACLName = "../x" },
		"header":    func(s *service.Service) { s.AddReqHeader = []service.Header{{Name: "X", Value: "a\nb"}} },
		"condition": func(s *service.Service) { s.AddReqHeader = []service.Header{{Name: "X", Value: "a", Condition: "x"}} },
		"path":      func(s *service.Service) { s.Destinations[0].ServicePath = []string{"/a\n"} },
		"domain":    func(s *service.Service) { s.Destinations[0].ServiceDomain = []string{"a b"} },
		"type":      func(s *service.Service) { s.Destinations[0].PathType = "path_beg -f /etc/passwd" },
		"algo":      func(s *service.Service) { s.ServiceDomainAlgo = "env(HOME) -m found }" },
		"host":      func(s *service.Service) { s.Destinations[0].OutboundHostname = "a b" },
		"extra":     func(s *service.Service) { s.BackendExtra = "backend other" },
		"secret":    func(s *service.Service) { s.UsersSecret = "../../x" },
		"template":  func(s *service.Service) { s.TemplateFePath = "../x" },
		"no target": func(s *service.Service) { s.Destinations = nil },
		"tcp":       func(s *service.Service) { s.Destinations[0].ReqMode = service.TCP },
		"http port": func(s *service.Service) { s.Destinations[0].ReqMode, s.Destinations[0].SrcPort = service.TCP, 8000 },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions("/cfg")
			bad, good := simple("bad", 80, "/bad"), simple("good", 80, "/good")
			change(&bad)
			m := proxy.Build(&o, []service.Service{bad, good}, proxy.View{})
			if len(m.Refusals()) != 1 {
				t.Errorf("refusals: %v", m.Refusals())
			}
			alone := proxy.Build(&o, []service.Service{good}, proxy.View{})
			if diff := cmp.Diff(text(alone), text(m)); diff != "" {
				t.Errorf("the refused definition left traces:\n%s", diff)
			}
		})
	}
}

func TestBuildIgnoresTheOrderOfServices(t *testing.T) {
	o := testOptions("/cfg")
	for name, all := range goldenServices() {
		a := proxy.Build(&o, all, proxy.View{})
		slices.Reverse(all)
		if b := proxy.Build(&o, all, proxy.View{}); a.Digest() != b.Digest() {
			t.Errorf("%s: the digest depends on the order", name)
		}
	}
}

func TestResolverKeepsTheLastKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		r := proxy.NewResolver(proxy.ResolverConfig{
			Interval: time.Second,
			Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
				if fail.Load() || host == "y" {
					return nil, errors.New("down")
				}
				return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}, nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		want := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}
		r.Use("a", []string{"x", "y"})
		if r.Known([]string{"x"}) {
			t.Error("known before it was asked for")
		}
		synctest.Wait()
		if !r.Known([]string{"x", "y"}) || !maps.Equal(r.News(), map[string]bool{"x": true}) {
			t.Error("a first answer is no news, or none at all")
		}
		fail.Store(true)
		time.Sleep(2 * time.Second) // the sweeps of the bubble's clock
		if diff := cmp.Diff(want, r.Addresses("x"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		if len(r.Addresses("y")) != 0 {
			t.Error("a name that does not resolve has addresses")
		}
		r.Use("a", nil)
		if r.Known([]string{"x"}) {
			t.Error("remembered although nobody uses it")
		}
		cancel()
		<-done
	})
}

func BenchmarkBuild(b *testing.B) {
	o := testOptions("/cfg")
	services := manyServices(10_000)
	for b.Loop() {
		m := proxy.Build(&o, services, proxy.View{})
		if m.Digest() == "" {
			b.Fatal("no digest")
		}
	}
}
