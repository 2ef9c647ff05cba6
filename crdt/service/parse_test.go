package service_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
)

// demo is what base() means, changed by the given functions.
func demo(change ...func(*service.Service, *service.Destination)) service.Service {
	s := service.Service{Name: "go-demo", Destinations: []service.Destination{
		{Port: 8080, ReqMode: service.HTTP, ServicePath: []string{"/demo"}}}}
	for _, c := range change {
		c(&s, &s.Destinations[0])
	}
	return s
}

// parameterCases has one row, or more, for every parameter.
func parameterCases() []struct {
	pairs string // separated by "; "
	want  func(*service.Service, *service.Destination)
} {
	type s = service.Service
	type d = service.Destination
	two := 2
	return []struct {
		pairs string
		want  func(*s, *d)
	}{
		{"serviceName=other", func(s *s, _ *d) { s.Name = "other" }},
		{"aclName=01-demo", func(s *s, _ *d) { s.ACLName = "01-demo" }},
		{"aclName=go-demo", func(*s, *d) {}},
		{"aclname=01", func(s *s, _ *d) { s.ACLName = "01" }},
		{"addReqHeader=X-A 1,X-B two words if { ssl_fc }", func(s *s, _ *d) {
			s.AddReqHeader = []service.Header{{Name: "X-A", Value: "1"}, {Name: "X-B", Value: "two words", Condition: "if { ssl_fc }"}}
		}},
		{"addHeader=X-A 1; setHeader=X-B 2", func(s *s, _ *d) {
			s.AddReqHeader, s.SetReqHeader = []service.Header{{Name: "X-A", Value: "1"}}, []service.Header{{Name: "X-B", Value: "2"}}
		}},
		{"setReqHeader=X-A 1; setHeader=X-B 2", func(s *s, _ *d) { s.SetReqHeader = []service.Header{{Name: "X-A", Value: "1"}} }},
		{"addResHeader=X-A what\\ if\\ not", func(s *s, _ *d) { s.AddResHeader = []service.Header{{Name: "X-A", Value: "what if not"}} }},
		{`setResHeader=X-A "q" 'r' \n {{x}} 50% %[src]`, func(s *s, _ *d) {
			s.SetResHeader = []service.Header{{Name: "X-A", Value: `"q" 'r' \n {{x}} 50% %[src]`}}
		}},
		{"delReqHeader=X-A, X-B", func(s *s, _ *d) { s.DelReqHeader = []string{"X-A", "X-B"} }},
		{"delResHeader=X-A", func(s *s, _ *d) { s.DelResHeader = []string{"X-A"} }},
		{"backendExtra=option  foo\r\n\toption bar\n", func(s *s, _ *d) { s.BackendExtra = "option  foo\n\toption bar" }},
		{"checkResolvers=True", func(s *s, _ *d) { s.CheckResolvers = true }},
		{"compressionAlgo=gzip", func(s *s, _ *d) { s.CompressionAlgo = "gzip" }},
		{"compressionType=text/plain  application/json ", func(s *s, _ *d) { s.CompressionType = "text/plain application/json" }},
		{"connectionMode=http-server-close", func(s *s, _ *d) { s.ConnectionMode = "http-server-close" }},
		{"connectionMode=forceclose", func(s *s, _ *d) { s.ConnectionMode = "httpclose" }},
		{"connectionMode=http-tunnel", func(s *s, _ *d) { s.ConnectionMode = "http-keep-alive" }},
		{"discoveryType=dns", func(s *s, _ *d) { s.DiscoveryType = "DNS" }},
		{"discoveryType=Overlay", func(*s, *d) {}},
		{"distribute=true", func(*s, *d) {}},
		{"isDefaultBackend=1", func(s *s, _ *d) { s.IsDefaultBackend = true }},
		{"proxyInstanceName=edge one", func(s *s, _ *d) { s.ProxyInstanceName = "edge one" }},
		{"redirectWhenHttpProto=t", func(s *s, _ *d) { s.RedirectWhenHTTPProto = true }},
		{"redirectUnlessHttpsProto=true", func(s *s, _ *d) { s.RedirectUnlessHTTPSProto = true }},
		{"replicas=2", func(s *s, _ *d) { s.Replicas = &two }},
		{"serviceDomain=A.com, *.b.com; serviceDomainAlgo=hdr_dom(Host) -i", func(s *s, d *d) {
			d.ServiceDomain, s.ServiceDomainAlgo = []string{"a.com", "*.b.com"}, "hdr_dom(host)"
		}},
		{"serviceDomain=a.com; serviceDomainAlgo=hdr(host)", func(_ *s, d *d) { d.ServiceDomain = []string{"a.com"} }},
		{"serviceDomain=*.A.com,B; serviceDomainAlgo=hdr_reg(host)", func(s *s, d *d) {
			d.ServiceDomain, s.ServiceDomainAlgo = []string{"*.a.com", "B"}, "hdr_reg(host)"
		}},
		{"serviceDomain=^A\\D+$; serviceDomainAlgo=hdr(host) -m reg", func(s *s, d *d) {
			d.ServiceDomain, s.ServiceDomainAlgo = []string{`^A\D+$`}, "hdr_reg(host)"
		}},
		{"serviceDomain=a.com; serviceDomainAlgo=req_ssl_sni", func(s *s, d *d) {
			d.ServiceDomain, s.ServiceDomainAlgo = []string{"a.com"}, "req.ssl_sni"
		}},
		{"serviceDomainAlgo=hdr_beg(host)", func(*s, *d) {}},
		{"serviceDomain=a.com; serviceDomainMatchAll=true", func(s *s, d *d) {
			d.ServiceDomain, s.ServiceDomainAlgo = []string{"a.com"}, "hdr_dom(host)"
		}},
		{"sessionType=sticky-server", func(s *s, _ *d) { s.SessionType = "sticky-server" }},
		{"templateFePath=a.tmpl; templateBePath=b.tmpl", func(s *s, _ *d) { s.TemplateFePath, s.TemplateBePath = "a.tmpl", "b.tmpl" }},
		{"users=a:p:w, b\nc:x", func(s *s, _ *d) {
			s.Users = []service.User{{Name: "a"}, {Name: "b"}, {Name: "c"}}
			s.Clear.Passwords = map[string]string{"a": "p:w", "c": "x"}
		}},
		{"users=a:$6$abc$0123456789,b; usersPassEncrypted=true", func(s *s, _ *d) {
			s.Users, s.UsersPassEncrypted = []service.User{{Name: "a", Crypt: "$6$abc$0123456789"}, {Name: "b"}}, true
		}},
		{"usersPassEncrypted=true", func(*s, *d) {}},
		{"usersSecret=admins", func(s *s, _ *d) { s.UsersSecret = "admins" }},
		{"serviceCert=PEM", func(s *s, _ *d) { s.Clear.Cert = "PEM" }},
		{"reqPathSearch=/a; reqPathReplace=/b; reqPathSearchReplace=/c,/d", func(_ *s, d *d) {
			d.ReqPathSearchReplace = []service.Rewrite{{Search: "/a", Replace: "/b"}, {Search: "/c", Replace: "/d"}}
		}},
		{"reqPathSearch=/a", func(*s, *d) {}},
		{"servicePath=/a, /b,,", func(_ *s, d *d) { d.ServicePath = []string{"/a", "/b"} }},
		{`servicePath=/+&%20'"\#{{}}ü`, func(_ *s, d *d) { d.ServicePath = []string{`/+&%20'"\#{{}}ü`} }},
		{"servicePathExclude=/demo/x", func(_ *s, d *d) { d.ServicePathExclude = []string{"/demo/x"} }},
		{"pathType=path_beg", func(*s, *d) {}},
		{"pathType=path -m beg -i", func(_ *s, d *d) { d.PathType = "path_beg -i" }},
		{"pathType=path_reg; servicePath=^/(?!x) [a-z]$", func(_ *s, d *d) {
			d.PathType, d.ServicePath = "path_reg", []string{"^/(?!x) [a-z]$"}
		}},
		{"port=80", func(_ *s, d *d) { d.Port = 80 }},
		{"httpsPort=8443", func(_ *s, d *d) { d.HTTPSPort = 8443 }},
		{"srcPort=81; srcHttpsPort=444", func(_ *s, d *d) { d.SrcPort, d.SrcHTTPSPort = 81, 444 }},
		{"reqMode=TCP; srcPort=81", func(_ *s, d *d) { d.ReqMode, d.SrcPort = service.TCP, 81 }},
		{"reqMode=sni; srcPort=81; servicePath=a.", func(_ *s, d *d) {
			d.ReqMode, d.SrcPort, d.ServicePath, d.PathType = service.SNI, 81, []string{"a."}, "req.ssl_sni -i"
		}},
		{"outboundHostname=Host_1.net", func(_ *s, d *d) { d.OutboundHostname = "Host_1.net" }},
		{"outboundHostname=[::1]", func(_ *s, d *d) { d.OutboundHostname = "::1" }},
		{"outboundHostname=go-demo", func(*s, *d) {}},
		{"httpsOnly=true; httpsRedirectCode=308", func(_ *s, d *d) { d.HTTPSOnly, d.HTTPSRedirectCode = true, 308 }},
		{"denyHttp=true", func(_ *s, d *d) { d.DenyHTTP = true }},
		{"allowedMethods=GET,PUT; deniedMethods=DELETE", func(_ *s, d *d) { d.AllowedMethods, d.DeniedMethods = []string{"GET", "PUT"}, []string{"DELETE"} }},
		{"ignoreAuthorization=true", func(_ *s, d *d) { d.IgnoreAuthorization = true }},
		{"redirectFromDomain=OLD.com; serviceDomain=new.com", func(_ *s, d *d) { d.RedirectFromDomain, d.ServiceDomain = []string{"old.com"}, []string{"new.com"} }},
		{`reqPathSearchReplace=(?:/a){1,3},/\1,ig:/x\:y[,:(],`, func(_ *s, d *d) {
			d.ReqPathSearchReplace = []service.Rewrite{{Search: "(?:/a){1,3}", Replace: `/\1`, Flags: "gi"}, {Search: `/x\:y[,:(]`}}
		}},
		{"serviceHeader=X-Version: 3:1,name:Viktor", func(_ *s, d *d) {
			d.ServiceHeader = []service.Match{{Name: "X-Version", Value: "3:1"}, {Name: "name", Value: "Viktor"}}
		}},
		{"userAgent=amiga, big amstrad", func(_ *s, d *d) { d.UserAgent = []string{"amiga", "big amstrad"} }},
		{"sslVerifyNone=true; verifyClientSsl=true", func(_ *s, d *d) { d.SSLVerifyNone, d.VerifyClientSSL = true, true }},
		{"timeoutServer=1; timeoutTunnel=2; timeoutClient= 3", func(_ *s, d *d) { d.TimeoutServer, d.TimeoutTunnel, d.TimeoutClient = 1, 2, 3 }},
		{"checkTcp=true; clitcpka=true", func(_ *s, d *d) { d.CheckTCP, d.Clitcpka = true, true }},
		{"serviceGroup=g; balanceGroup=leastconn", func(_ *s, d *d) { d.ServiceGroup, d.BalanceGroup = "g", "leastconn" }},
		{"userDef=free text", func(_ *s, d *d) { d.UserDef = "free text" }},
		{"tasks=1.2.3.4; isGlobal=true; Destinations=x; nodeInfo=[]", func(*s, *d) {}},
	}
}

func TestEveryParameter(t *testing.T) {
	cert := bundle(t)
	seen := map[string]bool{}
	for _, c := range parameterCases() {
		t.Run(c.pairs, func(t *testing.T) {
			label := strings.ReplaceAll(cert, "\n", `\n`)
			pairs := strings.Split(strings.Replace(c.pairs, "PEM", label, 1), "; ")
			for _, pair := range pairs {
				name, _, _ := strings.Cut(pair, "=")
				seen[name] = true
			}
			want := demo(c.want)
			want.Clear.Cert = strings.Replace(want.Clear.Cert, "PEM", cert, 1)
			got := parsed(t, base(pairs...), service.Defaults{})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
			stable(t, got, nil)
		})
	}
	for _, p := range service.Parameters() {
		if !seen[p.Name] {
			t.Errorf("no case for %s", p.Name)
		}
	}
}

func TestPlainPathComesWithTheDomain(t *testing.T) {
	got := parsed(t, query("serviceName=go-demo", "port=8080", "serviceDomain=acme.com"), service.Defaults{})
	if diff := cmp.Diff([]string{"/"}, got.Destinations[0].ServicePath); diff != "" {
		t.Error(diff)
	}
}

func TestIndexes(t *testing.T) {
	got := parsed(t, query("serviceName=s", "allowedMethods=GET", "servicePath=/plain", "port=1",
		"servicePath.1=/a", "port.1=81", "port.2=82", "allowedMethods.2=PUT", "pathType.3=path"), service.Defaults{})
	want := []service.Destination{
		{Index: 1, Port: 81, ReqMode: service.HTTP, ServicePath: []string{"/a"}, AllowedMethods: []string{"GET"}},
		{Index: 2, Port: 82, ReqMode: service.HTTP, ServicePath: []string{"/plain"}, AllowedMethods: []string{"PUT"}},
	}
	if diff := cmp.Diff(want, got.Destinations); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestMoreThanTenIndexes(t *testing.T) {
	for count, ok := range map[int]bool{11: true, service.MaxIndex: true, service.MaxIndex + 1: false} {
		q := query("serviceName=s", "servicePath=/")
		for i := 1; i <= count; i++ {
			q.Set("port."+itoa(i), "80")
		}
		r, err := service.Parse(q, service.Defaults{})
		if (err == nil) != ok || ok && len(r.Service.Destinations) != count {
			t.Errorf("%d indexes: %d destinations, error %v", count, len(r.Service.Destinations), err)
		}
	}
}

func TestDefaults(t *testing.T) {
	got := parsed(t, base("serviceDomain=a.com|b.com", "servicePath=/x|/y,z"), service.Defaults{Separator: "|", DomainAlgo: "hdr_beg(host)"})
	if got.ServiceDomainAlgo != "hdr_beg(host)" || len(got.Destinations[0].ServiceDomain) != 2 || got.Destinations[0].ServicePath[1] != "/y,z" {
		t.Errorf("got %+v", got)
	}
	got = parsed(t, base("serviceDomain=a.com", "serviceDomainAlgo=hdr(host)"), service.Defaults{DomainAlgo: "hdr_beg(host)"})
	if got.ServiceDomainAlgo != "" {
		t.Errorf("the request's own comparison lost: %q", got.ServiceDomainAlgo)
	}
}

func TestRequestsBesideTheService(t *testing.T) {
	r, err := service.Parse(query("serviceName=s", "replicas=0"), service.Defaults{})
	if err != nil || !r.Remove || r.Service.Name != "s" {
		t.Errorf("replicas=0: %+v, %v", r, err)
	}
	for _, c := range []struct{ pair, param string }{{"port=abc", "port"}, {"distribute=maybe", "distribute"}, {"httpsOnly=nope", "httpsOnly"}, {"users=a:", "users"}, {"port.2=1", "port.2"}} {
		r, err := service.Parse(query("serviceName=s", "replicas=0", c.pair), service.Defaults{})
		if !names(err, c.param) || !r.Remove {
			t.Errorf("replicas=0 with %s: %+v, %v", c.pair, r, err)
		}
	}
	r, err = service.Parse(query("serviceName=s", "replicas=0", "distribute=true", "proxyInstanceName=edge"), service.Defaults{})
	if err != nil || !r.Remove || !r.Distribute || r.ProxyInstanceName != "edge" {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := service.Parse(query("serviceName=../x", "replicas=0"), service.Defaults{}); !names(err, "serviceName") {
		t.Errorf("replicas=0 of an impossible name: %v", err)
	}
	r, err = service.Parse(base("distribute=true", "proxyInstanceName=edge"), service.Defaults{})
	if err != nil || !r.Distribute || r.ProxyInstanceName != "edge" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name       string
		pairs      []string
		param      string
		incomplete bool
	}{
		{"name", []string{"servicePath=/x", "port=1"}, "serviceName", false},
		{"port", []string{"serviceName=s", "servicePath=/x"}, "port", false},
		{"path and domain", []string{"serviceName=s", "port=1"}, "servicePath", true},
		{"path, domain and port", []string{"serviceName=s"}, "servicePath", true},
		{"path of an index", []string{"serviceName=s", "port.1=1", "servicePath.1=/x", "port.2=2"}, "servicePath.2", true},
		{"everything", nil, "serviceName", false},
		{"source port of tcp", []string{"serviceName=s", "reqMode=tcp", "port=1"}, "srcPort", false},
		{"port of sni", []string{"serviceName=s", "reqMode=sni", "srcPort=1"}, "port", false},
		{"number", []string{"serviceName=s", "servicePath=/x", "port=http"}, "port", false},
		{"number without path", []string{"serviceName=s", "port=http"}, "port", false},
		{"inherited number", []string{"serviceName=s", "servicePath.1=/x", "port=http"}, "port", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := service.Parse(query(c.pairs...), service.Defaults{})
			if !names(err, c.param) || errors.Is(err, service.ErrIncomplete) != c.incomplete {
				t.Errorf("got %v", err)
			}
		})
	}
}
