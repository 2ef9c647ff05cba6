package haproxy_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/deploy/testport"
	"sluice/proxy"
)

// TestRulesAgainstEvaluator: whatever the services, HAProxy sends every request where the
// evaluator says, which tries all rules in their order. Each run tries others; one that fails tells
// the seed that repeats it.
func TestRulesAgainstEvaluator(t *testing.T) {
	bounded(t, map[string]string{"rapid.checks": "15", "rapid.shrinktime": "20s", "rapid.nofailfile": "true"})
	r, ports := rulesRig(t)
	rapid.Check(t, func(rt *rapid.T) {
		queries := rapid.SliceOfN(drawService(ports), 8, 40).Draw(rt, "services")
		r.source.clear()
		for i, q := range queries {
			q.Set("serviceName", fmt.Sprintf("s%02d", i))
			r.publish(q.Encode())
		}
		r.live(r.source.Desired().Seq)
		if q := r.controller.Report().Quarantine; len(q) > 0 {
			rt.Fatalf("HAProxy does not take %+v", q)
		}
		client := &http.Transport{} // connections belong to the worker that took them
		defer client.CloseIdleConnections()
		for i := range 120 {
			request := drawRequest(ports).Draw(rt, "request "+strconv.Itoa(i))
			answer, err := r.controller.Why(r.Context(), request)
			if err != nil {
				rt.Fatal(err)
			}
			if problem := r.contradictsForLong(client, &answer); problem != "" {
				rt.Fatalf("%+v: %s\nrule %+v\ndoubts %+v\nservices:\n%s", request, problem, answer.Rule, answer.Doubts, spelled(queries))
			}
		}
	})
}

// bounded sets flags that were not given on the command line.
func bounded(t *testing.T, values map[string]string) {
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range values {
		if given[name] {
			continue
		}
		before := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, before) }) // it was valid
	}
}

// rulesRig answers every request with the name of the backend in a header.
func rulesRig(t *testing.T) (*rig, []int) {
	ports := []int{testport.Free(t), testport.Free(t)}
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		ports = append(ports, r.http)
		for _, port := range ports[:2] {
			cfg.Options.Binds = append(cfg.Options.Binds, proxy.Bind{Addr: "127.0.0.1", Port: port})
		}
		cfg.Options.ExtraFrontend = []string{"http-after-response set-header X-Rule %[be_name]"}
	})
	return r, ports
}

// contradictsForLong asks again after a contradiction: for a moment after a load the
// worker before it may still take a connection.
func (r *rig) contradictsForLong(client *http.Transport, a *proxy.Answer) string {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		problem := r.contradicts(client, a)
		if problem == "" || time.Now().After(deadline) {
			return problem
		}
		client.CloseIdleConnections()
	}
}

// contradicts asks HAProxy; it returns what differs from the answer.
func (r *rig) contradicts(client *http.Transport, a *proxy.Answer) string {
	q := a.Request
	req := &http.Request{
		Method: http.MethodGet, Host: q.Host, Header: q.Header,
		URL: &url.URL{Scheme: "http", Host: "127.0.0.1:" + itoa(q.Port), Path: q.Path, RawQuery: q.Query},
	}
	got, err := client.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer got.Body.Close()
	if _, err := io.Copy(io.Discard, got.Body); err != nil { // the connection is used again
		return err.Error()
	}
	backend := r.controller.AtRest(got.Header.Get("X-Rule"))
	for _, rule := range append(a.Doubts, a.Rule) {
		switch rule.Kind {
		case proxy.KindRedirect:
			if got.StatusCode == http.StatusMovedPermanently && got.Header.Get("Location") == rule.Location {
				return ""
			}
		case proxy.KindNone:
			if got.StatusCode == http.StatusServiceUnavailable && backend == "services" {
				return ""
			}
		default:
			if backend == rule.Backend {
				return ""
			}
		}
	}
	return fmt.Sprintf("status %d, backend %s, location %q", got.StatusCode, backend, got.Header.Get("Location"))
}

func spelled(queries []url.Values) string {
	var b strings.Builder
	for _, q := range queries {
		text, err := url.QueryUnescape(q.Encode())
		if err != nil {
			text = q.Encode()
		}
		b.WriteString("  " + text + "\n")
	}
	return b.String()
}

// one draws a text; those that come more than once are more likely.
func one(texts ...string) *rapid.Generator[string] { return rapid.SampledFrom(texts) }

func some(least, most int, texts ...string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfNDistinct(one(texts...), least, most, rapid.ID).Draw(t, "list"), ",")
	})
}

// pathsFor are patterns that make sense for a path type.
func pathsFor(pathType string) []string {
	name, _, _ := strings.Cut(pathType, " ")
	switch {
	case strings.HasSuffix(name, "_reg"):
		return []string{"^/a", "b$", "/[ab]+/", `^/\.well`, "^/", "a|/b", "/", "(?=/a)", "(?i)^/AB", `^[a-z.]*/b?$`, "^/a(b|/b)?$", `\.[a-z]+$`}
	case strings.HasSuffix(name, "_len"):
		return []string{"1", "2", "1:3", "4:20", "9:12"}
	case strings.HasPrefix(name, "base"):
		return []string{"a.com/a", "b.a.com/", "com", "/a", "b", "A.com", "a.com:8080/"}
	case name == "" || name == "path" || name == "path_beg":
		return []string{"/", "/", "/a", "/a", "/ab", "/ab", "/a/b", "/b", "/.well-known", "/.well-known/a", "/.w", "/A", "/.WELL-KNOWN"}
	}
	return []string{"/", "/a", "a", "b", "/b", "/.well-known", "ab/", "/a/b", "b/c", "c", "b?q", "B"}
}

// drawService draws the parameters of one service, without its name.
func drawService(ports []int) *rapid.Generator[url.Values] {
	return rapid.Custom(func(t *rapid.T) url.Values {
		q := url.Values{"outboundHostname": {"nowhere"}}
		set := func(name string, values *rapid.Generator[string]) {
			if v := values.Draw(t, name); v != "" {
				q.Set(name, v)
			}
		}
		set("aclName", one("", "", "", "m", "m", "s03", "s20", "a", "zz"))
		set("serviceDomainAlgo", one("", "", "", "", "", "", "hdr_dom(host)", "hdr_end(host)", "hdr_beg(host)", "hdr_sub(host)", "hdr_dir(host)", "hdr_reg(host)", "hdr(host) -i", "req.ssl_sni"))
		set("isDefaultBackend", one("", "", "", "", "", "", "true"))
		if rapid.IntRange(0, 3).Draw(t, "destinations") == 0 {
			drawDestination(t, q, ports, ".1")
			drawDestination(t, q, ports, ".2")
		} else {
			drawDestination(t, q, ports, "")
		}
		return q
	})
}

func drawDestination(t *rapid.T, q url.Values, ports []int, suffix string) {
	set := func(name string, values *rapid.Generator[string]) {
		if v := values.Draw(t, name+suffix); v != "" {
			q.Set(name+suffix, v)
		}
	}
	entry := one("", "", "", "", "", "", itoa(ports[0]), itoa(ports[1]), itoa(ports[2]))
	q.Set("port"+suffix, "80")
	set("httpsPort", one("", "", "", "", "", "", "443"))
	set("srcPort", entry)
	set("srcHttpsPort", entry)
	set("pathType", one("", "", "", "", "", "", "", "", "", "", "path", "path", "path", "path", "path", "path", "path", "path_beg -i", "path -i", "path_end", "path_end -i", "path_reg", "path_reg -i",
		"path_sub", "path_dir", "path_dom", "path_len", "url_beg", "url_end", "url_sub", "base_beg", "base_end", "base_reg", "base_dom", "base_beg -i"))
	paths := pathsFor(q.Get("pathType" + suffix))
	set("servicePath", some(1, 3, paths...))
	set("serviceDomain", one("", "", "", "", "a.com", "a.com", "a.com", "b.a.com", "x.b.a.com", "*.a.com", "*a.com", "*.b.a.com", "*b.a.com", "*.com", "*m",
		"a.com,*.b.a.com", "a.com,b.a.com", "*.a.com,*.x.org", "x.b.a.com,*b.a.com,*.com"))
	if rapid.IntRange(0, 4).Draw(t, "special"+suffix) == 0 {
		set("servicePathExclude", some(1, 2, paths...))
		set("serviceHeader", one("", "X-A:1", "X-A:1,X-B:a b"))
		set("userAgent", one("", "zz", "zz,Amiga"))
	}
	if host := q.Get("serviceDomain" + suffix); host != "" && host[0] != '*' {
		set("redirectFromDomain", one("", "", "", "", "old.com", "old.com,y.a.com"))
	}
}

func drawRequest(ports []int) *rapid.Generator[proxy.Request] {
	return rapid.Custom(func(t *rapid.T) proxy.Request {
		h := http.Header{"User-Agent": {one("curl", "curl", "ZZ top", "x, amiga", `"a, zz"`).Draw(t, "agent")}}
		if v := one("", "", "1", "2", "1, 2").Draw(t, "X-A"); v != "" {
			h.Set("X-A", v)
		}
		if v := one("", "a b").Draw(t, "X-B"); v != "" {
			h.Set("X-B", v)
		}
		return proxy.Request{
			Port:  rapid.SampledFrom(ports).Draw(t, "port"),
			Host:  one("a.com", "a.com", "A.com", "b.a.com", "x.b.a.com", "y.a.com", "za.com", "zb.a.com", "q.zb.a.com", "ab.com", "o.com", "o.org", "com", "old.com", "x.x.org").Draw(t, "host") + one("", "", "", ":8080").Draw(t, "host port"),
			Path:  one("/", "/a", "/ab", "/a/b", "/b", "/.well-known", "/.well-known/a", "/.w", "/AB").Draw(t, "path") + one("", "", "", "", "b", "/c", "/B").Draw(t, "rest"),
			Query: one("", "", "", "q=/b", "q").Draw(t, "query"), Header: h,
		}
	})
}
