package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/proxy"
)

// told is an evaluation in short: what decides, after what is doubtful, before what is shadowed.
func told(e proxy.Evaluation) string {
	var parts []string
	for _, rule := range e.Doubts {
		parts = append(parts, "perhaps "+named(rule))
	}
	parts = append(parts, named(e.Rule))
	for _, rule := range e.Shadowed {
		parts = append(parts, named(rule))
	}
	return strings.Join(parts, " > ")
}

func named(r proxy.Rule) string { return strings.TrimSpace(string(r.Kind) + " " + r.Service) }

func on(name string, paths []string, change func(*service.Service, *service.Destination)) service.Service {
	s := simple(name, 80, paths...)
	if change != nil {
		change(&s, &s.Destinations[0])
	}
	return s
}

func TestEvaluate(t *testing.T) {
	host := func(hosts ...string) func(*service.Service, *service.Destination) {
		return func(_ *service.Service, d *service.Destination) { d.ServiceDomain = hosts }
	}
	pathType := func(kind string) func(*service.Service, *service.Destination) {
		return func(_ *service.Service, d *service.Destination) { d.PathType = kind }
	}
	aclName := func(name string) func(*service.Service, *service.Destination) {
		return func(s *service.Service, _ *service.Destination) { s.ACLName = name }
	}
	type services = []service.Service
	for name, c := range map[string]struct {
		services services
		request  proxy.Request
		want     string
	}{
		"class, then kind of host, then length, then aclName": {
			services{
				on("a", []string{"/"}, nil), on("b", []string{"/"}, host("acme.com")), on("c", []string{"/d"}, nil), on("e", []string{"/de"}, nil),
				on("f", []string{"/d"}, host("acme.com")), on("g", []string{"/d"}, host("*.com")), on("h", []string{"/d"}, aclName("0")),
			},
			proxy.Request{Host: "ACME.com:80", Path: "/demo"},
			"prefix f > prefix g > prefix e > prefix h > prefix c > prefix b > prefix a",
		},
		"well-known paths first": {
			services{on("a", []string{"/.well-known"}, nil), on("b", []string{"/.well-known/x"}, host("acme.com")), on("c", []string{"/.w"}, host("acme.com"))},
			proxy.Request{Host: "acme.com", Path: "/.well-known/x"},
			"prefix b > prefix a > prefix c",
		},
		"an exact path is the longest, and equal ones go by aclName": {
			services{on("a", []string{"/x"}, nil), on("b", []string{"/x"}, pathType("path")), on("c", []string{"/x/y"}, pathType("path"))},
			proxy.Request{Path: "/x"}, "prefix a > exactPath b",
		},
		"a special precedes the winner only by class and aclName": {
			services{on("a", []string{"/v"}, nil), on("b", []string{"^/v[0-9]"}, pathType("path_reg")), on("c", []string{"/v1"}, nil), on("d", []string{"/v1/x"}, nil)},
			proxy.Request{Path: "/v1"}, "special b > prefix c > prefix a",
		},
		"what cannot be judged is said": {
			services{on("a", []string{"(?=/v)"}, pathType("path_reg")), on("b", []string{"/v"}, nil), on("c", []string{"(?=/v)"}, pathType("path_reg"))},
			proxy.Request{Path: "/v"}, "perhaps special a > prefix b > special c",
		},
		"an entry port": {
			services{on("a", []string{"/"}, func(_ *service.Service, d *service.Destination) { d.SrcPort = 81 }), on("b", []string{"/"}, nil)},
			proxy.Request{Port: 80, Path: "/"}, "prefix b",
		},
		"a redirect before everything": {
			services{on("a", []string{"/"}, nil), on("b", []string{"/"}, func(_ *service.Service, d *service.Destination) {
				d.ServiceDomain, d.RedirectFromDomain = []string{"new.com"}, []string{"old.com"}
			})},
			proxy.Request{Host: "old.com", Path: "/"}, "redirectFromDomain b > prefix a",
		},
		"the last default backend, behind everything": {
			services{on("a", []string{"/"}, func(s *service.Service, _ *service.Destination) { s.IsDefaultBackend = true }), on("b", []string{"/b"}, func(s *service.Service, _ *service.Destination) { s.IsDefaultBackend = true })},
			proxy.Request{Path: "/x"}, "prefix a > defaultBackend a",
		},
		"nothing":                       {services{on("a", []string{"/a"}, nil)}, proxy.Request{Path: "/b"}, "none"},
		"tcp services have no part":     {services{on("a", []string{"/a"}, func(_ *service.Service, d *service.Destination) { d.ReqMode, d.SrcPort = service.TCP, 1 })}, proxy.Request{Path: "/a"}, "none"},
		"a wildcard without its domain": {services{on("a", []string{"/"}, host("*.acme.com"))}, proxy.Request{Host: "acme.com", Path: "/"}, "none"},
		"a request without host":        {services{on("a", []string{"/"}, host("*"))}, proxy.Request{Path: "/"}, "prefix a"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := told(proxy.Evaluate(c.services, c.request)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRuleSaysWhatMatched(t *testing.T) {
	s := on("x", []string{"/a", "/b$"}, func(_ *service.Service, d *service.Destination) {
		d.Index, d.PathType, d.ServiceDomain, d.ServiceHeader = 3, "path_reg", []string{"acme.com", "*.org"}, []service.Match{{Name: "X-A", Value: "1 2"}}
	})
	got := proxy.Evaluate([]service.Service{s}, proxy.Request{Host: "x.org", Path: "/c/b", Header: http.Header{"X-A": {"1 2"}}}).Rule
	want := proxy.Rule{
		Kind: proxy.KindSpecial, Service: "x", Index: 3, Backend: "x-be80_3", Class: "other", Host: "*.org", Path: "/b$",
		Conditions: []string{"path_reg /a '/b$'", "var(txn.host) -m str acme.com or var(txn.host) -m end .org", "req.fhdr(X-A) -m str '1 2'"},
	}
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".entry" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
}

// TestCriteria judges single conditions; the wants are HAProxy 2.6's.
func TestCriteria(t *testing.T) {
	tls := func(r proxy.Request) proxy.Request { r.TLS = true; return r }
	agent := func(text string) http.Header { return http.Header{"User-Agent": {text}} }
	at := func(path string) proxy.Request { return proxy.Request{Host: "www.Acme.com:8080", Path: path} }
	for _, c := range []struct {
		pathType, path, algo, host string
		request                    proxy.Request
		want                       string
	}{
		{"path_dir", "/a/", "", "", at("/x/a"), "special"},
		{"path_dir", "/a/", "", "", at("/aa"), "none"},
		{"path_dir", "/", "", "", at("/a"), "none"},
		{"path_dom", "a", "", "", at("/x.a:1"), "special"},
		{"path_sub", "EMO", "", "", at("/demo"), "none"},
		{"path_sub -i", "EMO", "", "", at("/demo"), "special"},
		{"path_len", "3:4", "", "", at("/abc"), "special"},
		{"path_len", "3", "", "", at("/abc"), "none"},
		{"path_reg -i", "^/DEMO$", "", "", at("/demo"), "special"},
		{"path_reg", "(?<!x)demo", "", "", at("/demo"), "perhaps"},
		{"path_reg", `(.)\1`, "", "", at("/demo"), "perhaps"},
		{"path_reg", "o{,2}", "", "", at("/demo"), "perhaps"},
		{"path_reg", "^/.$", "", "", at("/\xc3"), "perhaps"},
		{"url_end", "?q", "", "", proxy.Request{Path: "/demo", Query: "q"}, "special"},
		{"url_beg", "/demo", "", "", tls(at("/demo")), "perhaps"},
		{"url_sub", "demo", "", "", tls(at("/demo")), "special"},
		{"base_beg", "www.Acme.com:8080/d", "", "", at("/demo"), "special"},
		{"path_ip", "/demo", "", "", at("/demo"), "perhaps"},
		{"", "/", "hdr_end(host)", "acme.com", at("/"), "none"}, // the port is part of the header
		{"", "/", "hdr_dom(host)", "acme.com", at("/"), "special"},
		{"", "/", "hdr_beg(host)", "www", at("/"), "special"},
		{"", "/", "hdr_dom(host)", ".", at("/"), "perhaps"},
		{"", "/", "hdr_sub(host,1)", "acme", at("/"), "perhaps"},
		{"", "/", "req.ssl_sni", "www.acme.com", tls(at("/")), "none"},
		{"", "/", "ssl_fc_sni", "www.acme.com", at("/"), "none"},
		{"", "/", "ssl_fc_sni", "www.acme.com", tls(at("/")), "perhaps"},
	} {
		s := on("x", []string{c.path}, func(s *service.Service, d *service.Destination) {
			d.PathType, s.ServiceDomainAlgo = c.pathType, c.algo
			if c.host != "" {
				d.ServiceDomain = []string{c.host}
			}
		})
		e := proxy.Evaluate([]service.Service{s}, c.request)
		got := string(e.Rule.Kind)
		if len(e.Doubts) > 0 {
			got = "perhaps"
		}
		if got != c.want {
			t.Errorf("%s %s %s %s for %+v: %s (%+v), want %s", c.pathType, c.path, c.algo, c.host, c.request, got, e.Doubts, c.want)
		}
	}
	for text, want := range map[string]string{"x, FOO bar": "special", "foo,bar": "none", `"foo,bar"`: "special", "": "none"} {
		s := on("x", []string{"/"}, func(_ *service.Service, d *service.Destination) { d.UserAgent = []string{"foo,bar", "foo b"} })
		if e := proxy.Evaluate([]service.Service{s}, proxy.Request{Path: "/", Header: agent(text)}); string(e.Rule.Kind) != want {
			t.Errorf("user agent %q: %s, want %s", text, e.Rule.Kind, want)
		}
	}
}

// A destination whose two ways in have one entry port is entered by the plain one, whatever it is
// called: the evaluator says so too.
func TestThePlainWayInPrecedes(t *testing.T) {
	for _, name := range []string{"a", "zz"} {
		o := testOptions(t.TempDir())
		s := simple(name, 80, "/s")
		s.Destinations[0].HTTPSPort, s.Destinations[0].SrcPort, s.Destinations[0].SrcHTTPSPort = 443, 8000, 8000
		m := proxy.Build(&o, []service.Service{s}, proxy.View{})
		want := name + "-be80_0"
		if got := string(fileOf(t, m, "maps/routes-any.map")); !strings.Contains(got, "8000|/s "+want+"\n") {
			t.Errorf("map %q", got)
		}
		if got := proxy.Evaluate([]service.Service{s}, proxy.Request{Port: 8000, Path: "/s"}).Rule.Backend; got != want {
			t.Errorf("evaluated to %s, want %s", got, want)
		}
	}
}
