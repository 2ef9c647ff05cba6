package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sluice/crdt/service"
	"sluice/proxy"
)

// built renders the services, fails on a refusal and shows the files to HAProxy.
func built(t *testing.T, services ...service.Service) []block {
	t.Helper()
	o := hostileOptions()
	o.CfgDir = t.TempDir()
	m := proxy.Build(&o, services, hostileView(true))
	for _, r := range m.Refusals() {
		t.Errorf("refused: %v", r)
	}
	accept(t, m, t.TempDir())
	blocks, err := parseConfig(filesOf(m)[proxy.ConfigFile])
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

func changed(name string, change func(*service.Service, *service.Destination)) service.Service {
	s := simple(name, 80, "/"+name)
	change(&s, &s.Destinations[0])
	return s
}

func many(n int, format string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

// TestLongListsAreCutIntoLines: HAProxy reads 64 words of a line and refuses longer ones.
func TestLongListsAreCutIntoLines(t *testing.T) {
	for name, s := range map[string]service.Service{
		"methods": changed("a", func(_ *service.Service, d *service.Destination) {
			d.AllowedMethods, d.DeniedMethods = many(200, "A%d"), many(200, "D%d")
		}),
		"user agents": changed("a", func(_ *service.Service, d *service.Destination) { d.UserAgent = many(200, "agent%d") }),
		"excluded":    changed("a", func(_ *service.Service, d *service.Destination) { d.ServicePathExclude = many(200, "/x%d") }),
		"expressions": changed("a", func(_ *service.Service, d *service.Destination) {
			d.PathType, d.ServicePath = "path_reg", many(200, "^/x%d$")
		}),
		"domains": changed("a", func(s *service.Service, d *service.Destination) {
			s.ServiceDomainAlgo, d.ServiceDomain = "hdr_beg(host)", append(many(100, "a%d."), many(100, "*.b%d.com")...)
		}),
		"all of them": changed("a", func(s *service.Service, d *service.Destination) {
			d.PathType, d.ServicePath, d.ServicePathExclude, d.UserAgent = "path_sub -i", many(5, "x%d"), many(5, "y%d"), many(5, "z%d")
			s.ServiceDomainAlgo, d.ServiceDomain, d.SrcPort = "hdr_dom(host)", many(5, "a%d.com"), 8000
		}),
		"media types": changed("a", func(s *service.Service, _ *service.Destination) {
			s.CompressionAlgo, s.CompressionType = "gzip deflate", strings.Join(many(200, "text/x%d"), " ")
		}),
		"wildcards of a tcp service": changed("a", func(_ *service.Service, d *service.Destination) {
			d.ReqMode, d.SrcPort, d.ServiceDomain = service.TCP, 5000, many(200, "*.a%d.com")
		}),
		"names in a TLS greeting": changed("a", func(_ *service.Service, d *service.Destination) {
			d.ReqMode, d.SrcPort, d.PathType, d.ServicePath = service.SNI, 5000, "req.ssl_sni -i -m beg", many(200, "a%d.")
		}),
	} {
		t.Run(name, func(t *testing.T) { built(t, s) })
	}
}

// TestExpressionsAsDomains: they are taken, and their letters keep their case.
func TestExpressionsAsDomains(t *testing.T) {
	for mode, want := range map[service.Mode]string{service.HTTP: "hdr_reg(host) -i -- ^\\D+(a|b) {2}\\.com$", service.TCP: "req.ssl_sni -i -m reg -- ^\\D+(a|b) {2}\\.com$"} {
		blocks := built(t, changed("a", func(s *service.Service, d *service.Destination) {
			s.ServiceDomainAlgo, d.ServiceDomain, d.ReqMode, d.SrcPort = "hdr_reg(host)", []string{`^\D+(a|b) {2}\.com$`}, mode, 8000
			if mode == service.TCP {
				d.SrcPort = 5000
			}
		}))
		if text := fmt.Sprint(blocks); !strings.Contains(text, want) {
			t.Errorf("%s: %q is not in %s", mode, want, text)
		}
	}
}

// TestEveryHostOfATCPService: a lone asterisk is every name, not an empty pattern.
func TestEveryHostOfATCPService(t *testing.T) {
	blocks := built(t, changed("a", func(_ *service.Service, d *service.Destination) {
		d.ReqMode, d.SrcPort, d.ServiceDomain = service.TCP, 5000, []string{"*"}
	}))
	if text := fmt.Sprint(blocks); !strings.Contains(text, "default_backend a-be80_0") {
		t.Errorf("no default_backend in %s", text)
	}
}

// TestHeaderNamesThatMeanSomething: # begins a comment outside quotes.
func TestHeaderNamesThatMeanSomething(t *testing.T) {
	built(t, changed("a", func(s *service.Service, d *service.Destination) {
		d.ServiceHeader = []service.Match{{Name: "X#$%&*+^|~!Y", Value: "#1 }"}}
		s.DelReqHeader = []string{"X#'`", "if", "-m", "}"}
	}))
	named := changed("a", func(_ *service.Service, d *service.Destination) {
		d.ServiceHeader = []service.Match{{Name: "X#Y", Value: "1"}}
	})
	request := proxy.Request{Path: "/a", Header: http.Header{"X#y": {"1"}}}
	if e := proxy.Evaluate([]service.Service{named}, request); e.Rule.Kind != "special" || len(e.Doubts) > 0 {
		t.Errorf("the evaluator does not read it: %+v", e)
	}
}

// TestNamesThatMeet: no two services give one section, backend or user list.
func TestNamesThatMeet(t *testing.T) {
	crypt := []service.User{{Name: "ann", Crypt: "$5$saltsalt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8"}}
	meet := func(name string, change func(*service.Service, *service.Destination)) service.Service {
		return changed(name, func(s *service.Service, d *service.Destination) {
			s.Users = crypt
			change(s, d)
		})
	}
	blocks := built(t,
		meet("a", func(_ *service.Service, d *service.Destination) { d.Port, d.HTTPSPort = 80, 8443 }),
		meet("https-a", func(_ *service.Service, d *service.Destination) { d.Port, d.HTTPSPort = 8443, 8443 }),
		meet("https-https-a", func(s *service.Service, d *service.Destination) { s.ACLName, d.Port = "https-a", 8443 }),
		meet("default", func(*service.Service, *service.Destination) {}), simple("open", 80, "/open"),
	)
	seen := map[string]bool{}
	for _, b := range blocks {
		if id := strings.Join(b.words, " "); seen[id] {
			t.Errorf("two sections %q", id)
		} else {
			seen[id] = true
		}
	}
	if n := len(seen); n != 4+5+7 { // shared ones, user lists, backends
		t.Errorf("%d sections: %v", n, seen)
	}
}

// TestLastLook: what a log holds that never passed today's door is left out.
func TestLastLook(t *testing.T) {
	for name, s := range map[string]service.Service{
		"brace as user agent": changed("a", func(_ *service.Service, d *service.Destination) { d.UserAgent = []string{"x", "}"} }),
		"brace as header": changed("a", func(_ *service.Service, d *service.Destination) {
			d.ServiceHeader = []service.Match{{Name: "X", Value: "}"}}
		}),
		"brace as path": changed("a", func(_ *service.Service, d *service.Destination) {
			d.PathType, d.ServicePath = "path_sub", []string{"}"}
		}),
		"brace as domain": changed("a", func(s *service.Service, d *service.Destination) {
			s.ServiceDomainAlgo, d.ServiceDomain = "hdr_reg(host)", []string{"}"}
		}),
		"blank in a path":      changed("a", func(_ *service.Service, d *service.Destination) { d.ServicePath = []string{"/x other-be80_0"} }),
		"tab in a path":        changed("a", func(_ *service.Service, d *service.Destination) { d.ServicePath = []string{"/x\tother-be80_0"} }),
		"section after a tab":  changed("a", func(s *service.Service, _ *service.Destination) { s.BackendExtra = "backend\tevil" }),
		"section in quotes":    changed("a", func(s *service.Service, _ *service.Destination) { s.BackendExtra = "option x\n'back'end evil" }),
		"section with escapes": changed("a", func(s *service.Service, _ *service.Destination) { s.BackendExtra = `\x62ackend evil` }),
		"aclName is a dot":     changed("a", func(s *service.Service, _ *service.Destination) { s.ACLName = ".." }),
		"blank in a moved host": changed("a", func(_ *service.Service, d *service.Destination) {
			d.ServiceDomain, d.RedirectFromDomain = []string{"a.com"}, []string{"b c"}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			o := hostileOptions()
			if refused := proxy.Build(&o, []service.Service{s}, hostileView(true)).Refusals(); len(refused) != 1 {
				t.Errorf("%d refusals", len(refused))
			}
		})
	}
}

// TestManyHeaders: a rule with more headers than a line has room for.
func TestManyHeaders(t *testing.T) {
	built(t, changed("a", func(_ *service.Service, d *service.Destination) {
		for i := range 20 {
			d.ServiceHeader = append(d.ServiceHeader, service.Match{Name: fmt.Sprintf("X-%d", i), Value: "v"})
		}
	}))
}

// TestTwoCompressionsOfTheProxy: COMPRESSION_ALGO is a list.
func TestTwoCompressionsOfTheProxy(t *testing.T) {
	o := hostileOptions()
	o.CompressionAlgo = "gzip deflate"
	accept(t, proxy.Build(&o, nil, hostileView(true)), t.TempDir())
}
