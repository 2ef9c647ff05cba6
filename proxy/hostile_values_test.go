package proxy_test

import (
	"net/url"
	"strings"

	"pgregory.net/rapid"

	"sluice/crdt/service"
)

// hostile are texts that mean something to some parser on the way: the query's, HAProxy's
// line parser, its formats, expressions, conditions and maps, templates, file names.
func hostile() []string {
	return []string{
		"'", `"`, `'\''`, `a'b"c`, `"x" evil`, `' evil '`, `\`, `\\`, `a\`, `\ `, `\'`, `\x41\n`, "$", "$HOME", "${HOME}", `"$HOME"`,
		"%", "%%", "100%", "%[", "%[src]", "%[env(HOME)]", "%{+Q}[src]", "%ci", "%%[src]", "%{+Q}ci", "%cix", "%%ci", "%{+Q", `"%ci" x`, `"a b\" %b"`, "'a b' if { ssl_fc }", "{{.}}", "{{$.Users}}", "{", "}", "{ }", "!{",
		"} || { always_true", "[", "]", "(", ")", "()", "a)", "#", "a # b", "#a", ";", "|", "||", "&", "<x>", "a b", " ", "  a  b ", "if", "unless", "or", "!", "--",
		"-f", "-f /etc/passwd", "-i", "-m reg", "if { always_true }", "x if TRUE", "\n", "a\nbackend evil", "\r", "a\rb", "\t", "a\tb", "\x00", "\x7f", "\x1b[0m",
		"\u00e9", "\u2028", "\u0085", "\u00a0", "\ufeff", "\xff\xfe", "\U0001f600", "..", ".", "/", "//", "../../etc/passwd", "/etc/passwd", "a/../b", ",", ",,", "a,b", ":", "a:b",
		"global", "backend", "default_backend evil", ".if", "no", "*", "*.", "*.a", "^", "$a", "a|b", "(?i)x", "[[:alpha:]]", "-1", "0", "99999999999999999999", "1e3",
		"0x50", "nan", "true", "é'\"\\ #", "=", "a=b", "&a=b", "+", "~", "`id`", "@", "@/etc/passwd", "unix@/x", "localhost", "0.0.0.0", "::1", "1.2.3.4",
		strings.Repeat("a", 300), strings.Repeat("é", 100), strings.Repeat("(", 30) + strings.Repeat(")", 30), strings.Repeat("a,", 90), strings.Repeat("'", 70),
	}
}

// plausible are values as people give them; a parameter that is not listed gets those of its
// type.
func plausible(p service.Parameter) []string {
	known := map[string][]string{
		"serviceName": {"go-demo", "a_b.c", "default"}, "aclName": {"01-go-demo", "x"},
		"compressionAlgo": {"gzip", "deflate gzip"}, "compressionType": {"text/html application/json", "text/*"},
		"connectionMode": {"http-keep-alive", "httpclose", "forceclose"}, "discoveryType": {"DNS"}, "sessionType": {"sticky-server"},
		"serviceDomainAlgo": {"hdr_dom(host)", "hdr_beg(host)", "hdr_reg(host)", "req.ssl_sni", "hdr(host)", "ssl_fc_sni_reg", "req.ssl_sni -m reg"},
		"templateFePath":    {"a.tmpl"}, "templateBePath": {"b.tmpl"}, "usersSecret": {"team"},
		"users":         {"ann:secret", "ann:$5$saltsalt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8", "ann,op"},
		"pathType":      {"path", "path_beg", "path_beg -i", "path_reg", "path_end", "path_sub -i", "url_sub", "base_reg", "path_len", "req.ssl_sni -i -m beg"},
		"serviceDomain": {"acme.com", "*.acme.com", "*acme.com", "acme.com,*.b.org", "*"},
		"serviceHeader": {"X-Version:3", "X-A:b c,X-B:1"},
		"servicePath":   {"/a", "/a,/b", "/", "/.well-known/x,/", "^/a(b|c)$", "3"},
		"reqMode":       {"http", "tcp", "sni"},
		"srcPort":       {"443", "5000"}, "srcHttpsPort": {"8443"}, "port": {"80"}, "httpsPort": {"443"},
		"redirectFromDomain": {"old.com", "old.com,older.com"}, "outboundHostname": {"other", "10.0.0.1", "::1"},
		"serviceGroup": {"g"}, "balanceGroup": {"leastconn"}, "httpsRedirectCode": {"301"},
		"reqPathSearchReplace": {"/a,/b", "/a,/b,g:/c(d),/\\1", "^/x,"},
		"allowedMethods":       {"GET,PUT"}, "backendExtra": {"option httpchk", "acl x path /a\nhttp-request deny if x"},
	}
	if values := known[p.Name]; values != nil {
		return values
	}
	return map[service.Type][]string{
		service.Bool: {"true", "false"}, service.Number: {"1", "30"}, service.List: {"a", "a,b"}, service.Text: {"a", "a b"},
		service.Headers: {"X-A b", "X-A %[src] if { ssl_fc }", "X-A 1,X-B 2 unless { hdr(X-C) d }", `X-A "a b; %ci" if { ssl_fc }`, "X-A %{+Q}r-%s"}, service.Secret: {"a"},
	}[p.Type]
}

// shaped makes a hostile text look like a value of the parameter's type.
func shaped(p service.Parameter, text string) []string {
	switch p.Type {
	case service.Headers:
		return []string{"X-A " + text, text + " b", "X-A b if { hdr(X-B) " + text + " }", "X-A a" + text + "%[src] c", "X-A b if " + text}
	case service.Matches:
		return []string{"X-A:" + text, text + ":b"}
	case service.Rewrites:
		return []string{"/a,/" + text, text + ",/b", "(" + text + "),x,g"}
	case service.List:
		return []string{text, "/" + text, "/a,/b" + text, "/.well-known" + text, "a," + text + ",b", "*." + text}
	case service.Secret:
		return []string{text + ":pass", "ann:" + text, text}
	}
	return []string{text, "a" + text}
}

// companions give parameters an effect that have none alone.
func companions(param string) url.Values {
	return map[string]url.Values{
		"serviceDomainAlgo": {"serviceDomain": {"acme.com"}}, "redirectFromDomain": {"serviceDomain": {"acme.com"}},
		"reqPathSearch": {"reqPathReplace": {"/b"}}, "reqPathReplace": {"reqPathSearch": {"/a"}}, "httpsRedirectCode": {"httpsOnly": {"true"}},
		"srcHttpsPort": {"httpsPort": {"443"}}, "compressionType": {"compressionAlgo": {"gzip"}}, "balanceGroup": {"reqMode": {"tcp"}, "srcPort": {"5000"}, "serviceGroup": {"g"}},
		"serviceGroup": {"reqMode": {"tcp"}, "srcPort": {"5000"}}, "templateFePath": {"templateBePath": {"b.tmpl"}}, "templateBePath": {"templateFePath": {"a.tmpl"}},
		"usersPassEncrypted": {"users": {"ann:$5$saltsalt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8"}},
	}[param]
}

// contexts are settings in which other parameters are written elsewhere.
func contexts() []url.Values {
	return []url.Values{
		{},
		{"pathType": {"path_reg"}, "serviceDomain": {"acme.com"}, "httpsPort": {"443"}},
		{"userAgent": {"amiga"}, "serviceDomain": {"acme.com,*.b.org"}, "usersPassEncrypted": {"true"}, "users": {"ann:$5$saltsalt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8"}},
		{"serviceDomain": {"a.acme.com"}, "serviceDomainAlgo": {"hdr_reg(host)"}, "sessionType": {"sticky-server"}},
		{"reqMode": {"sni"}, "srcPort": {"5000"}},
		{"reqMode": {"tcp"}, "srcPort": {"5000"}, "serviceDomain": {"*.a.com"}, "serviceDomainAlgo": {"req.ssl_sni -m reg"}},
	}
}

func baseQuery() url.Values {
	return url.Values{"serviceName": {"go-demo"}, "servicePath": {"/demo"}, "port": {"8080"}}
}

func merge(q url.Values, more ...url.Values) url.Values {
	for _, m := range more {
		for name, values := range m {
			q[name] = values
		}
	}
	return q
}

// queries draws whole requests: some parameters, plausible or hostile, with or without index.
func queries() *rapid.Generator[url.Values] {
	parameters := service.Parameters()
	return rapid.Custom(func(t *rapid.T) url.Values {
		q := merge(baseQuery(), rapid.SampledFrom(contexts()).Draw(t, "context"))
		for range rapid.IntRange(1, 6).Draw(t, "parameters") {
			p := rapid.SampledFrom(parameters).Draw(t, "parameter")
			value := rapid.SampledFrom(append(plausible(p), "")).Draw(t, "plausible")
			if rapid.IntRange(0, 2).Draw(t, "hostile") > 0 {
				text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostile()), 1, 3).Draw(t, "text"), "")
				value = rapid.SampledFrom(shaped(p, text)).Draw(t, "value")
			}
			q.Set(p.Name, value)
			if p.Level == service.DestinationLevel && rapid.Bool().Draw(t, "indexed") {
				q.Set(p.Name+".1", rapid.SampledFrom(plausible(p)).Draw(t, "first"))
				q.Set(p.Name+".2", value)
				q.Set("port.1", "81")
				q.Set("port.2", "82")
			}
		}
		return q
	})
}
