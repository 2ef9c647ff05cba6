package service_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/crdt/service"
)

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ pairs, param string }{
		{"serviceName=a b", "serviceName"}, {"serviceName=..", "serviceName"}, {"serviceName=a/b", "serviceName"},
		{"serviceName=" + strings.Repeat("a", 129), "serviceName"},
		{"aclName=../x", "aclName"}, {"aclName=.", "aclName"},
		{"addReqHeader=X-Foo", "addReqHeader"}, {"addReqHeader=X-Foo: bar", "addReqHeader"},
		{"addReqHeader=Content-Length 0", "addReqHeader"}, {"setResHeader=Transfer-Encoding x", "setResHeader"},
		{"addReqHeader=X-A %[env(HOME)]", "addReqHeader"}, {"addReqHeader=X-A %[src", "addReqHeader"},
		{"addReqHeader=X-A %{+Z}[src]", "addReqHeader"}, {"addReqHeader=X-A %{+Q}[env(HOME)]", "addReqHeader"}, {"addReqHeader=X-A %{+Q}[src", "addReqHeader"}, {"addReqHeader=X-A 1] %[src", "addReqHeader"},
		{"addReqHeader=X-A %[src,map(/etc/passwd)]", "addReqHeader"}, {"addReqHeader=X-A %[res.hdr(X)]", "addReqHeader"},
		{"addResHeader=X-A %[req.hdr(X)]", "addResHeader"}, {"addResHeader=X-A %[lua.x]", "addResHeader"},
		{"addReqHeader=X-A 1 if is_admin", "addReqHeader"}, {"addReqHeader=X-A 1 if { env(X) y }", "addReqHeader"},
		{"addReqHeader=X-A 1 if { path -f /etc/passwd }", "addReqHeader"}, {"addReqHeader=X-A 1 if { path_reg ( }", "addReqHeader"},
		{"addResHeader=X-A 1 if { path /x }", "addResHeader"}, {"addReqHeader=X-A 1 if", "addReqHeader"},
		{"addReqHeader=X-A 1 if { src nowhere }", "addReqHeader"}, {"addReqHeader=X-A 1 if { ssl_fc } or", "addReqHeader"},
		{`addReqHeader=X-A 1 if { path "/x }`, "addReqHeader"}, {"addReqHeader=X-A 1 if { path ${HOME} }", "addReqHeader"},
		{"delReqHeader=X A", "delReqHeader"}, {"delResHeader=Content-Length", "delResHeader"},
		{"compressionAlgo=zip", "compressionAlgo"}, {"compressionType=text", "compressionType"},
		{"connectionMode=tunnel", "connectionMode"}, {"discoveryType=Consul", "discoveryType"},
		{"replicas=-1", "replicas"}, {"replicas=x", "replicas"}, {"sessionType=sticky", "sessionType"},
		{"serviceDomain=a.com; serviceDomainAlgo=env(X)", "serviceDomainAlgo"},
		{"serviceDomain=a.com; serviceDomainAlgo=hdr(host) -f /etc/passwd", "serviceDomainAlgo"},
		{"templateFePath=/etc/passwd; templateBePath=x", "templateFePath"}, {"templateFePath=x; templateBePath=../x", "templateBePath"},
		{"templateFePath=x", "templateFePath"}, {"usersSecret=../x", "usersSecret"},
		{"templateFePath=dir/x; templateBePath=x", "templateFePath"}, {"userAgent=}", "userAgent"}, {"userAgent=a,}", "userAgent"},
		{"servicePath=}; pathType=path_sub", "servicePath"}, {"servicePath=}; pathType=path_reg", "servicePath"}, {"servicePathExclude=}; pathType=path_end", "servicePathExclude"},
		{"serviceHeader=X-A:}", "serviceHeader"}, {"serviceHeader=X'A:b", "serviceHeader"}, {"serviceHeader=X`A:b", "serviceHeader"},
		{"serviceDomain=}; serviceDomainAlgo=hdr_reg(host)", "serviceDomain"}, {"serviceDomain=*.a b; serviceDomainAlgo=hdr_reg(host)", "serviceDomain"},
		{"serviceDomainAlgo=env(X)", "serviceDomainAlgo"}, {"allowedMethods=,", "allowedMethods"}, {"servicePathExclude= ", "servicePathExclude"},
		{"setReqHeader=,", "setReqHeader"}, {"serviceHeader=, ,", "serviceHeader"}, {"userAgent= , ", "userAgent"},
		{"users=:x", "users"}, {"users=a:", "users"}, {"users=a:1,a:2", "users"}, {"users=,", "users"},
		{"httpsOnly=yes", "httpsOnly"}, {"distribute=maybe", "distribute"}, {"serviceDomainMatchAll=on", "serviceDomainMatchAll"},
		{"users=a:plain; usersPassEncrypted=true", "users"}, {"serviceCert=garbage", "serviceCert"},
		{"servicePath=demo", "servicePath"}, {"servicePath=/a b", "servicePath"}, {"servicePath=(; pathType=path_reg", "servicePath"},
		{"servicePath=[a; pathType=path_reg", "servicePath"}, {"servicePath=a\\; pathType=path_reg", "servicePath"},
		{"servicePath=a); pathType=path_reg", "servicePath"}, {"servicePath=x; pathType=path_len", "servicePath"},
		{"servicePathExclude=x", "servicePathExclude"}, {"pathType=path_lua", "pathType"}, {"pathType=path -f x", "pathType"},
		{"pathType=hdr(host)", "pathType"}, {"pathType=req.ssl_sni", "pathType"}, {"pathType=path_end; reqMode=sni; srcPort=1", "pathType"},
		{"serviceDomain=a.com:80", "serviceDomain"}, {"serviceDomain=a.*.com", "serviceDomain"}, {"serviceDomain=*", "serviceDomain"},
		{"serviceDomain=münchen.de", "serviceDomain"}, {"serviceDomain=**a.com", "serviceDomain"}, {"serviceDomain=a..com", "serviceDomain"},
		{"serviceDomain=(; serviceDomainAlgo=hdr_reg(host)", "serviceDomain"}, {"serviceDomain=a b; serviceDomainAlgo=hdr_sub(host)", "serviceDomain"},
		{"outboundHostname=a:80", "outboundHostname"}, {"outboundHostname=/var/run/x.sock", "outboundHostname"}, {"outboundHostname=fe80::1%eth0", "outboundHostname"},
		{"port=0x50", "port"}, {"port=65536", "port"}, {"httpsPort=-1", "httpsPort"}, {"srcPort=1.5", "srcPort"}, {"srcHttpsPort=99999", "srcHttpsPort"},
		{"reqMode=udp", "reqMode"}, {"httpsRedirectCode=305", "httpsRedirectCode"}, {"httpsRedirectCode=200", "httpsRedirectCode"},
		{"allowedMethods=GE T", "allowedMethods"}, {"deniedMethods=G(T", "deniedMethods"},
		{"redirectFromDomain=old.com", "redirectFromDomain"}, {"redirectFromDomain=old.com; serviceDomain=*.com", "redirectFromDomain"},
		{"redirectFromDomain=a.com; serviceDomain=a.com", "redirectFromDomain"},
		{"reqPathSearchReplace=/a", "reqPathSearchReplace"}, {"reqPathSearchReplace=/a:/b,/c", "reqPathSearchReplace"},
		{"reqPathSearchReplace=,/c", "reqPathSearchReplace"}, {"reqPathSearchReplace=/a,/c,x", "reqPathSearchReplace"}, {"reqPathSearchReplace=/a),/c", "reqPathSearchReplace"},
		{"serviceHeader=X-Version", "serviceHeader"}, {"serviceHeader=X Y:1", "serviceHeader"}, {"serviceHeader=X:", "serviceHeader"},
		{"reqMode=tcp; srcPort=1; users=a:b", "users"}, {"reqMode=sni; srcPort=1; usersSecret=x", "usersSecret"}, {"reqMode=TCP; srcPort=1; denyHttp=true", "denyHttp"},
		{"reqMode=tcp; srcPort=1; allowedMethods=GET", "allowedMethods"}, {"reqMode=sni; srcPort=1; deniedMethods=GET", "deniedMethods"},
		{"reqMode=tcp; srcPort=1; verifyClientSsl=true", "verifyClientSsl"}, {"reqMode=tcp; srcPort=1; serviceHeader=X:y", "serviceHeader"},
		{"reqMode=tcp; srcPort=1; userAgent=x", "userAgent"}, {"servicePath.1=/; port.1=1; reqMode.2=tcp; srcPort.2=1; port.2=2; denyHttp.2=true", "denyHttp.2"},
		{"reqMode=tcp; srcPort=1; port.1=1; denyHttp=true", "denyHttp.1"},
		{"port.1=1; servicePath.3=/x", "servicePath.3"}, {"serviceDomain.2=a.com", "serviceDomain.2"}, {"port.1=1; httpsPort.2=1; port.1001=1", "port.1001"},
		{"timeoutServer=-1", "timeoutServer"}, {"timeoutTunnel=1s", "timeoutTunnel"}, {"timeoutClient=99999999", "timeoutClient"},
		{"serviceGroup=a b", "serviceGroup"}, {"balanceGroup=hdr(x)", "balanceGroup"},
		{"backendExtra=option x\nbackend evil", "backendExtra"}, {"backendExtra=option x \\\nglobal", "backendExtra"}, {"backendExtra=\x00", "backendExtra"},
		{"backendExtra=back'end' evil", "backendExtra"}, {`backendExtra=\x62ackend evil`, "backendExtra"}, {`backendExtra="".if x`, "backendExtra"}, {"backendExtra=backend\tevil", "backendExtra"},
	} {
		t.Run(c.pairs, func(t *testing.T) {
			limits := service.Limits{TemplatesDir: true, AllowRaw: c.param == "backendExtra"}
			err := refusal(base(strings.Split(c.pairs, "; ")...), limits)
			if !names(err, c.param) {
				t.Errorf("want an error about %s, got %v", c.param, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Errorf("the error is more than one line: %q", err)
			}
		})
	}
}

func TestDoorIsClosedByDefault(t *testing.T) {
	for param, value := range map[string]string{
		"backendExtra": "option x", "templateFePath": "x", "addReqHeader": "X-A 1 if { nbsrv(x) gt 1 }",
	} {
		q := base(param + "=" + value)
		if param == "templateFePath" {
			q.Set("templateBePath", "x")
		}
		if err := refusal(q, service.Limits{}); !names(err, param) {
			t.Errorf("%s: got %v", param, err)
		}
		if err := refusal(q, everything()); err != nil {
			t.Errorf("%s with everything allowed: %v", param, err)
		}
	}
}

// TestModesSideBySide: what protects the requests of a service may be given for all of it.
func TestModesSideBySide(t *testing.T) {
	mixed := []string{"servicePath.1=/x", "port.1=80", "port.2=81", "reqMode.2=tcp", "srcPort.2=5000", "users=a:b", "allowedMethods=GET", "denyHttp=true", "verifyClientSsl=true"}
	s := parsed(t, query(append(mixed, "serviceName=s")...), service.Defaults{})
	if one, two := s.Destinations[0], s.Destinations[1]; !one.DenyHTTP || len(one.AllowedMethods) != 1 || two.DenyHTTP || two.VerifyClientSSL || len(two.AllowedMethods) != 0 {
		t.Errorf("%+v", s.Destinations)
	}
	if err := refusal(base("reqMode=tcp", "srcPort=1", "users=a:b", "ignoreAuthorization=true"), service.Limits{}); err != nil {
		t.Error(err)
	}
}

// hostile are values that must arrive literally or be refused, in every parameter.
func hostile() []string {
	return []string{"\n", "a\nb", "a\r\nb", "a\x00b", "\x7f", "\t", `"`, `a"b'c`, "{{.Name}}", "a b", " ", "..", "../../etc/passwd",
		"a\u2028b", "\xff\xfe", "#", "\\", "%[env(HOME)]", "${HOME}", "-i", "-f /etc/passwd", "if { always_true }",
		"/x\n    http-request deny", strings.Repeat("a", 1<<20), strings.Repeat(",", 1<<20), strings.Repeat("(", 9000)}
}

func TestHostileValuesInEveryParameter(t *testing.T) {
	for _, p := range service.Parameters() {
		for i, value := range hostile() {
			t.Run(fmt.Sprint(p.Name, i), func(t *testing.T) {
				q := base("serviceDomain=a.com")
				q.Set(p.Name, value)
				if p.Type == service.Headers {
					q.Set(p.Name, "X-A "+value)
				}
				r, err := service.Parse(q, service.Defaults{})
				if err == nil {
					err = r.Service.Validate(everything())
				}
				if err != nil {
					checkRefusal(t, err, p)
					return
				}
				checkAccepted(t, r.Service, p)
			})
		}
	}
}

// checkRefusal: the error names the parameter, is short and is one line.
func checkRefusal(t *testing.T, err error, p service.Parameter) {
	t.Helper()
	param := p.Name
	if p.Deprecated && p.Type != service.Bool {
		param = "reqPathSearchReplace"
	}
	if !names(err, param) {
		t.Errorf("the error does not name %s: %v", param, err)
	}
	if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\r\x00") {
		t.Errorf("the error is too long or more than one line: %d bytes", len(err.Error()))
	}
}

// checkAccepted: what is accepted cannot break a line or end a string, and is stable.
func checkAccepted(t *testing.T, s service.Service, p service.Parameter) {
	t.Helper()
	clear := s.Clone()
	stable(t, clear, nil)
	if err := s.Protect(key(t)); err != nil {
		t.Fatal(err)
	}
	data, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`\n`, `\r`, `\u0000`, `\u007f`, "\x7f", `\ufffd`, `\u2028`} {
		if strings.Contains(string(data), bad) && p.Name != "backendExtra" && !strings.Contains(string(data), `\\`) {
			t.Errorf("%s let %s through: %s", p.Name, bad, data)
		}
	}
}

func TestSizes(t *testing.T) {
	long := "/" + strings.Repeat("a", service.MaxText)
	if err := refusal(base("servicePath="+long), everything()); !names(err, "servicePath") {
		t.Errorf("one long path: %v", err)
	}
	many := strings.TrimSuffix(strings.Repeat("/a,", service.MaxList+1), ",")
	if err := refusal(base("servicePath="+many), everything()); !names(err, "servicePath") {
		t.Errorf("many paths: %v", err)
	}
	q := base("servicePath=" + strings.Repeat("/a,", 20000))
	for i := 1; i <= service.MaxIndex; i++ {
		q.Set("port."+itoa(i), "80")
	}
	if _, err := service.Parse(q, service.Defaults{}); !names(err, "servicePath") {
		t.Errorf("a list that every destination inherits: %v", err)
	}
	s := demo()
	for range 9 {
		s.Destinations[0].UserAgent = append(s.Destinations[0].UserAgent, strings.Repeat("a", service.MaxText-1))
	}
	if err := s.Validate(everything()); !names(err, "service") {
		t.Errorf("large as a whole: %v", err)
	}
	if _, err := s.Canonical(); !errors.Is(err, service.ErrTooLarge) {
		t.Errorf("encode: %v", err)
	}
}

func TestOwnPorts(t *testing.T) {
	l := service.Limits{OwnPorts: []service.OwnPort{{Port: 8080, Use: "API"}}}
	for pairs, param := range map[string]string{
		"outboundHostname=127.0.0.1":                   "port",
		"outboundHostname=localhost":                   "port",
		"outboundHostname=a.LocalHost":                 "port",
		"outboundHostname=::ffff:0.0.0.0":              "port",
		"outboundHostname=::ffff:127.0.0.9":            "port",
		"outboundHostname=::1; port=1; httpsPort=8080": "httpsPort",
		"reqMode=tcp; srcPort=8080":                    "srcPort",
	} {
		if err := refusal(base(strings.Split(pairs, "; ")...), l); !names(err, param) {
			t.Errorf("%s: %v", pairs, err)
		}
	}
	if err := refusal(base("outboundHostname=10.0.0.1"), l); err != nil {
		t.Errorf("another host: %v", err)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	err := refusal(base("serviceName=a b", "aclName=..", "port=99999", "sessionType=x"), everything())
	for _, param := range []string{"serviceName", "aclName", "port", "sessionType"} {
		if !names(err, param) {
			t.Errorf("%s is not in %v", param, err)
		}
	}
}
