package proxy_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/crdt/service"
	"sluice/proxy"
)

// anyService draws a definition of one of a few services that get in each other's way.
func anyService(t *rapid.T) service.Service {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
	s := simple(name, rapid.IntRange(80, 82).Draw(t, "port"), rapid.SliceOfNDistinct(
		rapid.SampledFrom([]string{"/", "/a", "/a/b", "/.well-known/x", "/c"}), 1, 3, rapid.ID).Draw(t, "paths")...)
	d := &s.Destinations[0]
	for _, change := range rapid.SliceOfN(rapid.IntRange(0, 13), 0, 3).Draw(t, "changes") {
		switch change {
		case 0:
			d.ServiceDomain = []string{"a.test", "*.test"}
		case 1:
			d.ServiceDomain = []string{"*.a.test"}
		case 2:
			d.PathType = "path"
		case 3:
			d.PathType = "path_end"
		case 4:
			d.SrcPort = 8000
		case 5:
			d.HTTPSPort = 443
		case 6:
			s.ACLName = rapid.SampledFrom([]string{"a", "b", "00"}).Draw(t, "aclName")
		case 7:
			s.IsDefaultBackend = true
		case 8:
			s.Users = []service.User{{Name: "u", Salt: "00", Digest: "aa"}}
		case 9:
			d.ReqMode, d.SrcPort = service.TCP, rapid.IntRange(9000, 9001).Draw(t, "srcPort")
		case 10:
			d.RedirectFromDomain = []string{"old.test"}
		case 11:
			d.TimeoutTunnel = 7200
		case 12:
			s.DiscoveryType = "DNS"
		case 13:
			d.PathType = "no criterion!" // refused
		}
	}
	return s
}

// anyOverlays are some in which there is something for most of the services.
func anyOverlays() []string {
	return []string{
		"", `{"state":"drain"}`, `{"state":"maint"}`, `{"weight":7}`, `{"servers":{"10.0.0.1":{"weight":3},"10.0.0.3":{"state":"maint"}}}`,
		`{"destinations":{"0":{"weight":2}},"servers":{"a:81":{"state":"drain"}}}`, `{"state":"unknown"}`,
	}
}

// A model that was changed service by service is the one that is built at once.
func TestChangedModelIsTheBuiltOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := testOptions("/cfg")
		view := proxy.View{Addresses: addresses(map[string]string{"a": "10.0.0.1 10.0.0.2", "tasks.b": "10.0.0.3"})}
		changed := proxy.Build(&o, nil, view)
		services := map[string]service.Service{}
		overlays := map[string][]byte{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			s := anyService(t)
			if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				delete(services, s.Name)
				changed.Remove(s.Name)
			} else {
				services[s.Name] = s
				changed.Put(&s)
			}
			if rapid.Bool().Draw(t, "overlay") {
				name, text := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "over"), rapid.SampledFrom(anyOverlays()).Draw(t, "text")
				overlays[name] = []byte(text)
				changed.Overlay(name, []byte(text))
			}
			if rapid.Bool().Draw(t, "look") {
				_ = changed.Digest() // what was looked at before must not be remembered
			}
		}
		built := proxy.Build(&o, slices.Collect(maps.Values(services)), view)
		for name, text := range overlays {
			built.Overlay(name, text)
		}
		if diff := cmp.Diff(text(built), text(changed)); diff != "" {
			t.Fatalf("(-built +changed):\n%s", diff)
		}
		if diff := cmp.Diff(fmt.Sprint(built.Notes(), built.Refusals()), fmt.Sprint(changed.Notes(), changed.Refusals())); diff != "" {
			t.Fatalf("what is told of it (-built +changed):\n%s", diff)
		}
	})
}

// BenchmarkPut is one change among 10,000 services.
func BenchmarkPut(b *testing.B) {
	o := testOptions("/cfg")
	m := proxy.Build(&o, manyServices(10_000), proxy.View{})
	for i := 0; b.Loop(); i++ {
		s := simple("service-05000", 8080+i%2, "/service/5000/")
		m.Put(&s)
	}
}

func manyServices(n int) []service.Service {
	services := make([]service.Service, n)
	for i := range services {
		services[i] = simple(fmt.Sprintf("service-%05d", i), 8080, fmt.Sprintf("/service/%d/", i))
	}
	return services
}
