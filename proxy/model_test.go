package proxy_test

import (
	"context"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/proxy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func testOptions(dir string) proxy.Options {
	o := proxy.DefaultOptions()
	o.CfgDir, o.ErrorfilesDir, o.SecretsDir, o.CertsDir = dir, "", "", ""
	o.Binds = []proxy.Bind{{Addr: "127.0.0.1", Port: 8000}}
	o.BindAddr = "127.0.0.1"
	o.AuthKey = "c2VjcmV0LWtleS1zZWNyZXQta2V5LXNlY3JldC1rZXk="
	return o
}

func addresses(m map[string]string) func(string) []netip.Addr {
	return func(host string) []netip.Addr {
		var list []netip.Addr
		for _, text := range strings.Fields(m[host]) {
			list = append(list, netip.MustParseAddr(text))
		}
		return list
	}
}

func dest(index, port int, change func(*service.Destination), paths ...string) service.Destination {
	d := service.Destination{Index: index, Port: port, ReqMode: service.HTTP, ServicePath: paths}
	if change != nil {
		change(&d)
	}
	return d
}

func simple(name string, port int, paths ...string) service.Service {
	return service.Service{Name: name, Destinations: []service.Destination{dest(0, port, nil, paths...)}}
}

// accept writes the model to a directory and asks the real HAProxy.
func accept(t *testing.T, m *proxy.Model, dir string) {
	t.Helper()
	for _, f := range m.Files(1) {
		path := filepath.Join(dir, f.Name)
		if f.Name == proxy.ConfigFile {
			distinct(t, string(f.Data))
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(context.Background(), "haproxy", "-c", "-f", filepath.Join(dir, proxy.ConfigFile)).CombinedOutput()
	if err != nil {
		t.Fatalf("haproxy -c: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		// HAProxy 3.3 and newer take the time of crypt(3) hashes, which is the users' choice.
		if strings.Contains(line, "WARNING") && !strings.Contains(line, "the hash algorithm used for this password") {
			t.Errorf("haproxy warns:\n%s", line)
		}
	}
}

// distinct: HAProxy 3.3 and newer give no frontend the name of a backend.
func distinct(t *testing.T, config string) {
	t.Helper()
	blocks, err := parseConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, b := range blocks {
		switch kind := b.words[0]; kind {
		case "frontend", "backend", "listen":
			if other := kinds[b.words[1]]; other != "" {
				t.Errorf("%s and %s are both called %s", other, kind, b.words[1])
			}
			kinds[b.words[1]] = kind
		}
	}
}

// text joins all files in one golden document.
func text(m *proxy.Model) string {
	var b strings.Builder
	for _, f := range m.Files(1) {
		b.WriteString("==> " + f.Name + "\n")
		b.Write(f.Data)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), rewrite with -update:\n%s", path, diff)
	}
}

func TestGolden(t *testing.T) {
	for name, services := range goldenServices() {
		t.Run(name, func(t *testing.T) {
			o := testOptions("/cfg")
			o.RunDir = "/run/sluice"
			m := proxy.Build(&o, services, proxy.View{
				Addresses: addresses(map[string]string{
					"go-demo": "10.0.0.7", "api": "10.0.0.8 10.0.0.9", "tasks.sticky": "10.0.1.1 10.0.1.2", "tasks.r1": "10.0.2.1",
				}),
				Secret: func(name string) (string, bool) { return "op:secret\n", name == "dfp_users_team" },
			})
			for _, r := range m.Refusals() {
				t.Errorf("refused: %v", r)
			}
			golden(t, name, text(m))
			accept(t, m, t.TempDir())
		})
	}
}

func goldenServices() map[string][]service.Service {
	full := service.Service{
		Name:         "api",
		ACLName:      "01-api",
		AddReqHeader: []service.Header{{Name: "X-Lit", Value: `a  "b" 'c' {{d}} 100% $HOME \n # %[src]`}},
		SetResHeader: []service.Header{{Name: "X-Out", Value: "v", Condition: "if { status 200 }"}},
		DelReqHeader: []string{"Cookie"},
		UsersSecret:  "team",
		Users:        []service.User{{Name: "bob", Crypt: "$5$abc$def"}, {Name: "amy", Salt: "00ff", Digest: "aabb"}, {Name: "op"}},
		Destinations: []service.Destination{
			dest(1, 8080, func(d *service.Destination) {
				d.ServiceDomain = []string{"acme.com", "*.acme.org", "*acme.net"}
				d.HTTPSPort, d.SrcPort, d.SrcHTTPSPort = 8443, 8000, 8443
				d.ReqPathSearchReplace = []service.Rewrite{{Search: `^/a(b|c)'[,)]`, Replace: `/\1"`, Flags: "g"}}
				d.AllowedMethods, d.DeniedMethods = []string{"GET", "PUT"}, []string{"DELETE"}
				d.TimeoutServer, d.TimeoutTunnel = 11, 7200
				d.RedirectFromDomain = []string{"old.com"}
				d.HTTPSOnly, d.HTTPSRedirectCode = true, 301
			}, "/a", "/.well-known/acme"),
			dest(2, 8081, func(d *service.Destination) {
				d.PathType, d.ServicePathExclude = "path_reg", []string{"secret$"}
				d.ServiceDomain = []string{"acme.com", "*.acme.org"}
			}, `^/v[0-9]+ 'x' -y`),
			dest(3, 8082, func(d *service.Destination) {
				d.ServiceHeader = []service.Match{{Name: "X-V", Value: "1, \"2\""}}
				d.UserAgent = []string{"-amiga", "it's"}
			}, "/"),
		},
	}
	sticky := simple("sticky", 80, "/sticky")
	sticky.SessionType, sticky.CompressionAlgo, sticky.CompressionType = "sticky-server", "gzip", "text/html application/json"
	sticky.IsDefaultBackend = true
	tcp := service.Service{Name: "redis", Destinations: []service.Destination{
		{Port: 6379, SrcPort: 6000, ReqMode: service.TCP, CheckTCP: true, TimeoutClient: 77, Clitcpka: true},
		{Index: 1, Port: 6380, SrcPort: 6001, ReqMode: service.TCP, ServiceDomain: []string{"a.test", "*.b.test"}},
		{Index: 2, Port: 6381, SrcPort: 6001, ReqMode: service.SNI, PathType: "req_ssl_sni -i -m beg", ServicePath: []string{"c."}},
	}}
	group := func(name string) service.Service {
		return service.Service{Name: name, Destinations: []service.Destination{
			{Port: 6379, SrcPort: 6002, ReqMode: service.TCP, ServiceGroup: "g", BalanceGroup: "leastconn"},
		}}
	}
	twin := simple("twin", 80, "/twin")
	twin.ACLName = "go-demo"
	return map[string][]service.Service{
		"empty":  nil,
		"simple": {simple("go-demo", 8080, "/demo")},
		"full":   {simple("go-demo", 8080, "/demo", "/"), full, sticky, twin},
		"tcp":    {tcp, group("r1"), group("r2")},
	}
}

// What HAProxy adds at run time has the error pages of now.
func TestErrorPagesOfAddedBackendsFollow(t *testing.T) {
	o := testOptions(t.TempDir())
	o.AddBackend = true
	m := proxy.Build(&o, nil, proxy.View{Errorfiles: map[int]string{503: "/e/503.http"}})
	pool := func() string {
		for _, f := range m.Files(1) {
			if f.Name == "pool.cfg" {
				return string(f.Data)
			}
		}
		t.Fatal("no pool.cfg")
		return ""
	}
	if !strings.Contains(pool(), "/e/503.http") {
		t.Fatalf("before:\n%s", pool())
	}
	m.Refresh(&proxy.View{Errorfiles: map[int]string{404: "/e/404.http"}})
	if text := pool(); !strings.Contains(text, "/e/404.http") || strings.Contains(text, "/e/503.http") {
		t.Errorf("after:\n%s", text)
	}
}
