package haproxy_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/deploy/testport"
	"sluice/proxy"
)

func TestRouting(t *testing.T) {
	r := newRig(t)
	to := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		to[name] = "&outboundHostname=127.0.0.1&port=" + echo(t, name)
	}
	type want struct{ host, path, agent, backend string }
	for name, test := range map[string]struct {
		services []string
		wants    []want
	}{
		"a prefix has no boundary": {
			[]string{"serviceName=x&servicePath=/demo" + to["a"]},
			[]want{{"h", "/demonstration?x=/", "", "a"}, {"h", "/other?p=/demo", "", ""}},
		},
		"the longest prefix wins": {
			[]string{"serviceName=x&servicePath=/api" + to["a"], "serviceName=y&servicePath=/api/v2" + to["b"]},
			[]want{{"h", "/api/v1", "", "a"}, {"h", "/api/v2/x", "", "b"}},
		},
		"equal paths go by aclName": {
			[]string{"serviceName=x&aclName=02&servicePath=/p" + to["a"], "serviceName=y&aclName=01&servicePath=/p" + to["b"]},
			[]want{{"h", "/p", "", "b"}},
		},
		"a path without host beats a host's root": {
			[]string{"serviceName=x&serviceDomain=acme.com" + to["a"], "serviceName=y&servicePath=/demo" + to["b"]},
			[]want{{"acme.com", "/demo/x", "", "b"}, {"acme.com:8080", "/x", "", "a"}, {"ACME.com", "/x", "", "a"}, {"acme.com.evil.org", "/", "", ""}},
		},
		"well-known paths come first": {
			[]string{"serviceName=x&serviceDomain=acme.com&servicePath=/.w" + to["a"], "serviceName=y&servicePath=/.well-known" + to["b"]},
			[]want{{"acme.com", "/.well-known/x", "", "b"}, {"acme.com", "/.wx", "", "a"}},
		},
		"an exact host beats a wildcard beats none": {
			[]string{
				"serviceName=x&serviceDomain=*.acme.com&servicePath=/p" + to["a"],
				"serviceName=y&serviceDomain=www.acme.com&servicePath=/p" + to["b"], "serviceName=z&servicePath=/p" + to["c"],
			},
			[]want{{"www.acme.com", "/p", "", "b"}, {"x.y.acme.com", "/p", "", "a"}, {"acme.com", "/p", "", "c"}, {"o.org", "/p", "", "c"}},
		},
		"wildcards": {
			[]string{"serviceName=x&serviceDomain=*.a.com,*domain.com" + to["a"], "serviceName=y&serviceDomain=*.sub.a.com&servicePath=/p" + to["b"]},
			[]want{
				{"x.a.com:99", "/", "", "a"}, {"a.com", "/", "", ""}, {"my-domain.com", "/", "", "a"}, {"domain.com", "/", "", "a"},
				{"x.domain.com", "/", "", "a"}, {"y.sub.a.com", "/p", "", "b"}, {"y.sub.a.com", "/q", "", "a"}, {"x.a.org", "/", "", ""},
			},
		},
		"the longer path wins over the narrower wildcard": {
			[]string{"serviceName=x&serviceDomain=*.a.com&servicePath=/long" + to["a"], "serviceName=y&serviceDomain=*.b.a.com&servicePath=/l" + to["b"]},
			[]want{{"x.b.a.com", "/long", "", "a"}, {"x.b.a.com", "/l", "", "b"}},
		},
		"an exact path": {
			[]string{"serviceName=x&servicePath=/demo&pathType=path" + to["a"], "serviceName=y&servicePath=/d" + to["b"]},
			[]want{{"h", "/demo", "", "a"}, {"h", "/demo/x", "", "b"}},
		},
		"a regular expression goes by aclName among its class": {
			[]string{
				"serviceName=m&pathType=path_reg&servicePath=" + url.QueryEscape(`^/v[0-9]+/"x y"?'`) + to["a"],
				"serviceName=a&servicePath=/v1" + to["b"], "serviceName=z&servicePath=/v2" + to["c"],
			},
			[]want{{"h", "/v1/'", "", "b"}, {"h", "/v2/x", "", "c"}},
		},
		"excluded paths go on": {
			[]string{"serviceName=x&servicePath=/demo&servicePathExclude=/demo/a" + to["a"], "serviceName=y&servicePath=/" + to["b"]},
			[]want{{"h", "/demo/a", "", "b"}, {"h", "/demo/b", "", "a"}},
		},
		"user agents, the last index takes the rest": {
			[]string{"serviceName=x&servicePath.1=/d&userAgent.1=amiga&port.1=" + to["a"][len("&outboundHostname=127.0.0.1&port="):] +
				"&servicePath.2=/d" + "&port.2=" + to["b"][len("&outboundHostname=127.0.0.1&port="):] + "&outboundHostname=127.0.0.1"},
			[]want{{"h", "/d", "Mozilla (Amiga)", "a"}, {"h", "/d", "x", "b"}},
		},
		"criteria of hosts": {
			[]string{"serviceName=x&serviceDomain=acme.com&serviceDomainAlgo=hdr_dom(host)" + to["a"]},
			[]want{{"www.acme.com", "/", "", "a"}, {"xacme.com", "/", "", ""}},
		},
		"the last default backend takes the rest": {
			[]string{"serviceName=x&servicePath=/x&isDefaultBackend=true" + to["a"], "serviceName=y&servicePath=/y&isDefaultBackend=true" + to["b"]},
			[]want{{"h", "/zzz", "", "b"}, {"h", "/x", "", "a"}},
		},
		"one aclName, two services": {
			[]string{"serviceName=x&aclName=s&servicePath=/x" + to["a"], "serviceName=y&aclName=s&servicePath=/y" + to["b"]},
			[]want{{"h", "/x", "", "a"}, {"h", "/y", "", "b"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.TB = t
			r.source.clear()
			for _, query := range test.services {
				r.publish(query)
			}
			r.live(r.source.Desired().Seq)
			for _, w := range test.wants {
				r.goes(call{host: w.host, path: w.path, header: http.Header{"User-Agent": {w.agent}}}, w.backend)
			}
		})
	}
}

func (m *memory) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.desired.Items = nil
	m.desired.Seq++
}

func TestEntryPorts(t *testing.T) {
	second := testport.Free(t)
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Options.Binds = append(cfg.Options.Binds, proxy.Bind{Addr: "127.0.0.1", Port: second})
	})
	a, b := echo(t, "a"), echo(t, "b")
	r.publish("serviceName=a&outboundHostname=127.0.0.1&servicePath=/p&port=" + a + "&srcPort=" + itoa(second))
	r.reconfigure("serviceName=b&outboundHostname=127.0.0.1&servicePath=/p&port=" + b)
	r.goes(call{path: "/p", port: second}, "a")
	r.goes(call{path: "/p"}, "b")
}

func TestLiteralValuesArriveByteForByte(t *testing.T) {
	r := newRig(t)
	value := `a  "b" 'c' {d} {{e}} 100% %Tx %20 $HOME ${X} \n \\x # ; | & < > + é`
	r.reconfigure("serviceName=x&outboundHostname=127.0.0.1&port=" + echo(t, "x") + "&servicePath=/" +
		"&setReqHeader=" + url.QueryEscape("X-Lit "+value) + "&setResHeader=" + url.QueryEscape("X-Src <%[src]>"))
	a := r.do(call{path: "/"})
	if diff := cmp.Diff(value, a.seen.Header.Get("X-Lit")); diff != "" {
		t.Errorf("request header (-want +got):\n%s", diff)
	}
	if got := a.header.Get("X-Src"); got != "<127.0.0.1>" {
		t.Errorf("response header: got %q", got)
	}
}

func TestRewrite(t *testing.T) {
	r := newRig(t)
	port := echo(t, "x")
	for name, test := range map[string]struct{ rewrite, path, want string }{
		"first occurrence": {"/a,/b", "/a/a/x", "/b/a/x"},
		"every occurrence": {"/a,/b,g", "/a/a/x?y=/a", "/b/b/x?y=/a"},
		"in order":         {"/a,/b:/b,/c", "/a/x", "/c/x"},
		"to nothing":       {"/a,", "/a/x", "/x"},
		"to an empty path": {"/a,", "/a", "/"},
		"without a slash":  {"/a/,", "/a/x", "/x"},
		"plus and group":   {`/a/(x+)y,/b/\1`, "/a/xxy/z", "/b/xx/z"},
		"quotes":           {`/a/['"]+,/b`, "/a/''/z", "/b/z"},
		"brackets":         {`^/a[)(\]]*/,/b/`, "/a)(]/z", "/b/z"},
	} {
		t.Run(name, func(t *testing.T) {
			r.TB = t
			r.reconfigure("serviceName=x&outboundHostname=127.0.0.1&port=" + port + "&servicePath=/a&reqPathSearchReplace=" + url.QueryEscape(test.rewrite))
			if got := r.do(call{path: test.path}).seen.Path; got != test.want {
				t.Errorf("%s: backend sees %q, want %q", test.path, got, test.want)
			}
		})
	}
}

func basic(user, pass string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))}}
}

func TestUsers(t *testing.T) {
	r := newRig(t)
	r.reconfigure("serviceName=x&outboundHostname=127.0.0.1&port.1=" + echo(t, "x") + "&servicePath.1=/x&port.2=" + echo(t, "open") +
		"&servicePath.2=/open&ignoreAuthorization.2=true&users=" + url.QueryEscape("admin:p&w+'x\",amy:two"))
	for name, test := range map[string]struct {
		header http.Header
		path   string
		status int
	}{
		"nobody":            {nil, "/x", 401},
		"the right one":     {basic("admin", `p&w+'x"`), "/x", 200},
		"another right one": {basic("amy", "two"), "/x", 200},
		"a wrong password":  {basic("amy", `p&w+'x"`), "/x", 401},
		"a wrong name":      {basic("eve", "two"), "/x", 401},
		"no basic":          {http.Header{"Authorization": {"Bearer x"}}, "/x", 401},
		"a free index":      {nil, "/open", 200},
	} {
		t.Run(name, func(t *testing.T) {
			r.TB = t
			a := r.do(call{path: test.path, header: test.header})
			if a.status != test.status {
				t.Errorf("status %d, want %d", a.status, test.status)
			}
			if a.status == 401 && a.header.Get("WWW-Authenticate") != `Basic realm="xRealm"` {
				t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
			}
			if a.seen.Header.Get("Authorization") != "" {
				t.Error("the backend sees the credentials")
			}
		})
	}
}

func TestRedirectsAndGuards(t *testing.T) {
	r := newRig(t)
	to := "&outboundHostname=127.0.0.1&port=" + echo(t, "x")
	r.publish("serviceName=moved&serviceDomain=new.com&redirectFromDomain=old.com" + to)
	r.publish("serviceName=only&servicePath=/only&httpsOnly=true&httpsRedirectCode=301" + to)
	r.publish("serviceName=proto&servicePath=/proto&redirectWhenHttpProto=true" + to)
	r.publish("serviceName=deny&servicePath=/deny&denyHttp=true" + to)
	r.reconfigure("serviceName=verbs&servicePath=/verbs&allowedMethods=GET,PUT&deniedMethods=PUT" + to)
	for name, test := range map[string]struct {
		call     call
		status   int
		location string
	}{
		"from a domain":   {call{host: "old.com", path: "/x?y=1"}, 301, "http://new.com/x?y=1"},
		"to TLS":          {call{host: "h", path: "/only"}, 301, "https://h/only"},
		"by proto":        {call{host: "h", path: "/proto", header: http.Header{"X-Forwarded-Proto": {"http"}}}, 302, "https://h/proto"},
		"not by proto":    {call{host: "h", path: "/proto"}, 200, ""},
		"plain is denied": {call{path: "/deny"}, 403, ""},
		"allowed":         {call{path: "/verbs"}, 200, ""},
		"not allowed":     {call{path: "/verbs", method: "POST"}, 403, ""},
		"denied":          {call{path: "/verbs", method: "PUT"}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r.TB = t
			a := r.do(test.call)
			if a.status != test.status || a.header.Get("Location") != test.location {
				t.Errorf("got %d %q, want %d %q", a.status, a.header.Get("Location"), test.status, test.location)
			}
			if told := r.why(test.call); max(told.Status, http.StatusOK) != a.status || told.Location != a.header.Get("Location") {
				t.Errorf("told %d %q, got %d %q", told.Status, told.Location, a.status, a.header.Get("Location"))
			}
		})
	}
}
