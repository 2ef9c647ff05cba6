package haproxy_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"sluice/crdt/service"
	"sluice/deploy/testport"
	"sluice/proxy"
)

// echoOn is a backend on an address of its own, with the port of another.
func echoOn(t testing.TB, name, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(answering(name))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}

func tasks(_ *rig, cfg *proxy.Config) {
	cfg.Lookup = hosts(map[string]string{"tasks.x": "127.0.0.2 127.0.0.1", "tasks.y": "127.0.0.2", "x": "127.0.0.1"})
}

func TestStickySessions(t *testing.T) {
	r := newRig(t, tasks)
	port := echo(t, "one")
	echoOn(t, "two", "127.0.0.2:"+port)
	r.reconfigure("serviceName=x&servicePath=/x&sessionType=sticky-server&port=" + port)
	if got := r.do(call{path: "/x"}).header.Get("Set-Cookie"); !strings.HasPrefix(got, "x=x_") {
		t.Errorf("cookie %q", got)
	}
	for cookie, backend := range map[string]string{"x=x_0": "one", "x=x_1": "two"} {
		r.goes(call{path: "/x", header: http.Header{"Cookie": {cookie}}}, backend)
	}
}

func TestDiscoveryBalancesTasks(t *testing.T) {
	r := newRig(t, tasks)
	port := echo(t, "one")
	echoOn(t, "two", "127.0.0.2:"+port)
	r.reconfigure("serviceName=x&servicePath=/x&discoveryType=DNS&replicas=2&port=" + port)
	reached := map[string]bool{}
	r.await("both tasks to answer", func() bool {
		reached[r.do(call{path: "/x"}).seen.Backend] = true
		return reached["one"] && reached["two"]
	})
}

func TestServiceGroupSharesAPort(t *testing.T) {
	r := newRig(t, func(_ *rig, cfg *proxy.Config) {
		cfg.Lookup = hosts(map[string]string{"tasks.x": "127.0.0.1", "tasks.y": "127.0.0.2"})
	})
	port, shared := echo(t, "one"), testport.Free(t)
	echoOn(t, "two", "127.0.0.2:"+port)
	for _, name := range []string{"x", "y"} {
		r.publish("serviceName=" + name + "&reqMode=tcp&serviceGroup=g&balanceGroup=roundrobin&port=" + port + "&srcPort=" + itoa(shared))
	}
	r.live(r.source.Desired().Seq)
	reached := map[string]bool{}
	r.await("both members to answer", func() bool {
		reached[r.do(call{path: "/", port: shared}).seen.Backend] = true
		return reached["one"] && reached["two"]
	})
}

func TestGlobalUsersAndSecrets(t *testing.T) {
	secrets := t.TempDir()
	if err := os.WriteFile(secrets+"/dfp_users_team", []byte("op:secret\nbob:other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Options.SecretsDir = secrets
		salt := r.key.Salt("global")
		cfg.Options.Users = []service.User{{Name: "root", Salt: salt, Digest: r.key.Digest(salt, basic("root", "pw").Get("Authorization"))}}
	})
	to := "&outboundHostname=127.0.0.1&port=" + echo(t, "x")
	r.publish("serviceName=global&servicePath=/global" + to)
	r.publish("serviceName=own&servicePath=/own&users=svc:svc" + to)
	r.publish("serviceName=secret&servicePath=/secret&usersSecret=team&users=op" + to)
	r.reconfigure("serviceName=lost&servicePath=/lost&usersSecret=missing" + to)
	for _, test := range []struct {
		path, user, pass string
		status           int
	}{
		{"/global", "root", "pw", 200}, {"/global", "root", "no", 401}, {"/own", "svc", "svc", 200}, {"/own", "root", "pw", 401},
		{"/secret", "op", "secret", 200}, {"/secret", "bob", "other", 401}, {"/lost", "op", "secret", 401},
	} {
		if got := r.do(call{path: test.path, header: basic(test.user, test.pass)}).status; got != test.status {
			t.Errorf("%s as %s: status %d, want %d", test.path, test.user, got, test.status)
		}
	}
	if text := r.file(proxy.ConfigFile); strings.Contains(text, "secret\n") || strings.Contains(text, r.options.AuthKey) {
		t.Error("a secret stands in the configuration")
	}
}

func TestCompressionStaysWithItsService(t *testing.T) {
	r := newRig(t)
	to := "&outboundHostname=127.0.0.1&port=" + echo(t, "x")
	r.publish("serviceName=one&servicePath=/one&compressionAlgo=gzip&compressionType=application/json" + to)
	r.reconfigure("serviceName=two&servicePath=/two" + to)
	for path, want := range map[string]string{"/one": "gzip", "/two": ""} {
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+itoa(r.http)+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%s: Content-Encoding %q, want %q", path, got, want)
		}
	}
}

func TestHeadersChooseTheIndex(t *testing.T) {
	r := newRig(t)
	r.reconfigure("serviceName=x&outboundHostname=127.0.0.1&servicePath.1=/x&serviceHeader.1=X-V:1&port.1=" + echo(t, "a") +
		"&servicePath.2=/x&serviceHeader.2=X-V:2&port.2=" + echo(t, "b"))
	r.goes(call{path: "/x", header: http.Header{"X-V": {"1"}}}, "a")
	r.goes(call{path: "/x", header: http.Header{"X-V": {"2"}}}, "b")
	r.goes(call{path: "/x"}, "")
}

func TestResolversOfHAProxyWhereAskedFor(t *testing.T) {
	r := newRig(t)
	r.reconfigure("serviceName=x&servicePath=/x&checkResolvers=true&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	if text := r.file(proxy.ConfigFile); !strings.Contains(text, "check resolvers docker") {
		t.Errorf("missing in:\n%s", text)
	}
	r.goes(call{path: "/x"}, "x")
}

func TestOperatorsLines(t *testing.T) {
	pages := t.TempDir()
	page := "HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nnobody here\n"
	if err := os.WriteFile(pages+"/503.http", []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(_ *rig, cfg *proxy.Config) {
		cfg.Options.ErrorfilesDir = pages
		cfg.Options.ExtraGlobal = []string{"maxconn 1234", "spread-checks 5"}
		cfg.Options.ExtraFrontend = []string{"http-response set-header X-F 1"}
		cfg.Options.CaptureRequestHeader = []string{"Host:15"}
	})
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	if got := r.do(call{path: "/x"}).header.Get("X-F"); got != "1" {
		t.Errorf("X-F %q", got)
	}
	if a := r.do(call{path: "/none"}); a.status != 503 || a.header.Get("Content-Type") != "text/plain" {
		t.Errorf("the error page is not used: %d %v", a.status, a.header)
	}
}

func TestTemplates(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"fe": "    acl t path_beg /tmpl\n    use_backend {{.AclName}}-be if t\n",
		"be": "backend {{.AclName}}-be\n    mode http\n{{range .ServiceDest}}    server s {{$.Host}}:{{.Port}}\n{{end}}",
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, func(_ *rig, cfg *proxy.Config) {
		cfg.Options.TemplatesDir, cfg.Limits = dir, service.Limits{TemplatesDir: true}
	})
	s := service.Service{
		Name: "x", TemplateFePath: "fe", TemplateBePath: "be",
		Destinations: []service.Destination{{
			Port: 80, ReqMode: service.HTTP, OutboundHostname: "127.0.0.1", ServicePath: []string{"/ignored"},
		}},
	}
	if err := r.controller.Check(t.Context(), s); err != nil {
		t.Fatalf("check: %v", err)
	}
	value, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	r.live(r.source.put("x", value))
	if q := r.controller.Report().Quarantine; len(q) != 0 {
		t.Errorf("quarantine: %+v", q)
	}
	if text := r.file(proxy.ConfigFile); !strings.Contains(text, "backend x-be\n") {
		t.Errorf("the template's backend is missing:\n%s", text)
	}
	refused := func(file, text, reason string) {
		t.Helper()
		if err := os.WriteFile(dir+"/"+file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s.TemplateBePath = file
		if err := r.controller.Check(t.Context(), s); err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "HAProxy refuses") != (file == "word") {
			t.Errorf("%s: %v", file, err)
		}
	}
	refused("field", "{{.NoSuchField}}", "NoSuchField")
	refused("word", "backend z\n    nonsense\n", "HAProxy refuses it: ")
	s.TemplateBePath = "../be"
	if err := r.controller.Check(t.Context(), s); err == nil {
		t.Error("a template outside the directory is accepted")
	}
}

// TestTemplatesOfDockerFlowProxy: a template sees the fields that it saw there, and what it writes of them is
// one line.
func TestTemplatesOfDockerFlowProxy(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"fe": `{{range .ServiceDest}}    acl url_{{$.AclName}}{{.Port}}_{{.Index}} {{.PathType}} {{range .ServicePath}}{{.}} {{end}}{{.SrcPortAcl}}
    acl not_{{$.AclName}} path{{range .ServicePathExclude}} {{.}}{{end}}
    acl {{.UserAgent.AclName}} hdr_sub(User-Agent){{range .UserAgent.Value}} {{.}}{{end}}
    use_backend {{$.AclName}}-be if url_{{$.AclName}}{{.Port}}_{{.Index}}{{.SrcPortAclName}} !not_{{$.AclName}} {{.UserAgent.AclName}}
{{end}}`,
		"be": `userlist {{.ServiceName}}List
{{range .Users}}    user {{.Username}} {{if .PassEncrypted}}password{{end}}{{if not .PassEncrypted}}insecure-password{{end}} {{.Password}}
{{end}}backend {{.AclName}}-be
    mode http
{{range .AddReqHeader}}    http-request add-header {{.}}
{{end}}{{range .SetResHeader}}    http-response set-header {{.}}
{{end}}{{range .DelReqHeader}}    http-request del-header {{.}}
{{end}}{{with index .ServiceDest 0}}{{if .DenyHttp}}    http-request deny if !{ ssl_fc }
{{end}}{{if .TimeoutServer}}    timeout server {{.TimeoutServer}}s
{{end}}    server {{$.ServiceName}} {{.OutboundHostname}}:{{.Port}}
{{end}}{{range .Tasks}}    # {{.}}
{{end}}`,
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	port := testport.Free(t)
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		tasks(r, cfg)
		cfg.Options.Binds = append(cfg.Options.Binds, proxy.Bind{Addr: "127.0.0.1", Port: port})
		cfg.Options.TemplatesDir, cfg.Limits = dir, service.Limits{TemplatesDir: true}
	})
	r.reconfigure("serviceName=x&aclName=01-x&templateFePath=fe&templateBePath=be&servicePath=/x&servicePathExclude=/x/no&userAgent=amiga&srcPort=" + itoa(port) + "&timeoutServer=7" +
		"&sessionType=sticky-server&delReqHeader=X-Gone&usersPassEncrypted=true&users=" + url.QueryEscape("ann:$5$saltsalt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8") +
		"&outboundHostname=127.0.0.1&port=" + echo(t, "x") + "&addReqHeader=" + url.QueryEscape(`X-A "a # b" if { method GET }`) + "&setResHeader=" + url.QueryEscape(`X-B it's %ci`))
	if q := r.controller.Report().Quarantine; len(q) != 0 {
		t.Fatalf("quarantine: %+v", q)
	}
	got := r.do(call{path: "/x", port: port, header: http.Header{"User-Agent": {"my amiga"}, "X-Gone": {"1"}}})
	if got.seen.Backend != "x" || got.seen.Header.Get("X-A") != "a # b" || got.header.Get("X-B") != "it's 127.0.0.1" || got.seen.Header.Get("X-Gone") != "" {
		t.Errorf("%+v", got)
	}
	for _, c := range []call{{path: "/x"}, {path: "/x/no", port: port, header: http.Header{"User-Agent": {"amiga"}}}, {path: "/x", port: port}} {
		r.goes(c, "")
	}
	if text := r.file(proxy.ConfigFile); !strings.Contains(text, "# 127.0.0.1\n    # 127.0.0.2\n") {
		t.Errorf("no tasks in\n%s", text)
	}
}

// TestHeadersAsDockerFlowProxyTookThem: quotes are syntax, variables are evaluated.
func TestHeadersAsDockerFlowProxyTookThem(t *testing.T) {
	r := newRig(t)
	port := echo(t, "x")
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + port + "&setReqHeader=" + url.QueryEscape(`X-Client %ci,X-Quoted %{+Q}r,X-Text 100%% %%ci %cix 5%`) +
		"&setResHeader=" + url.QueryEscape(`Strict-Transport-Security "max-age=16000000; includeSubDomains; preload;",X-Where "%b/%s",X-Path \"a\"\ 'b c'`))
	got := r.do(call{path: "/x"})
	for name, want := range map[string]string{"X-Client": "127.0.0.1", "X-Quoted": `"GET /x HTTP/1.1"`, "X-Text": "100% %ci %cix 5%"} {
		if value := got.seen.Header.Get(name); value != want {
			t.Errorf("request's %s: %q, want %q", name, value, want)
		}
	}
	for name, want := range map[string]string{
		"Strict-Transport-Security": "max-age=16000000; includeSubDomains; preload;", "X-Where": "x-be" + port + "_0/x", "X-Path": `"a" b c`,
	} {
		if value := got.header.Get(name); value != want {
			t.Errorf("response's %s: %q, want %q", name, value, want)
		}
	}
}
