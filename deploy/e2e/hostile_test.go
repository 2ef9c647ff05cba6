package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sluice/crdt/service"
)

// hostile are values that must arrive literally or be refused. "evil" marks whatever
// would become configuration.
func hostile() map[string]string {
	return map[string]string{
		"line break":       "x\n    http-request deny deny_status 418\nbackend evil\n",
		"carriage return":  "x\r    http-request deny\rbackend evil\r",
		"unicode break":    "x\u2028backend evil\u0085",
		"NUL":              "x\x00evil",
		"broken UTF-8":     "x\xff\xfe",
		"double quote":     `x" evil "`,
		"single quote":     `x' evil '`,
		"template":         "{{.}}{{$.Users}}{{template \"evil\"}}",
		"spaces":           "x evil  y ",
		"space and if":     "x if { path_beg / }",
		"parent directory": "../../../../etc/passwd",
		"comment":          "x # evil",
		"backslash":        `x\ evil\`,
		"variable":         "$HOME${HOME}%[env(HOME)]%[file(/etc/passwd)]",
		"only blanks":      "   ",
		"separators":       ",,;|,:,",
		"negative":         "-1",
		"huge number":      "99999999999999999999",
		"brackets":         `[(){}<>*?+^$.`,
		"1 MB":             strings.Repeat("x", 1<<20),
	}
}

// company are the parameters without which param would have no effect, so that its value
// would be dropped instead of judged.
func company(param string) []string {
	return map[string][]string{
		"serviceDomainAlgo":  {"serviceDomain", "acme.com"},
		"redirectFromDomain": {"serviceDomain", "acme.com"},
		"reqPathSearch":      {"reqPathReplace", "/b"},
		"reqPathReplace":     {"reqPathSearch", "/a"},
		"httpsRedirectCode":  {"httpsOnly", "true"},
		"srcHttpsPort":       {"httpsPort", "443"},
		"usersPassEncrypted": {"users", "ann:$5$saltsalt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8"},
		"compressionType":    {"compressionAlgo", "gzip"},
	}[param]
}

// attempt is one hostile value in one parameter.
type attempt struct{ name, param, kind string }

// TestHostileValues: any value in any parameter is refused with nothing changed, or works
// literally; no other service and no part of the configuration is touched.
func TestHostileValues(t *testing.T) {
	r := startReplica(t, "local")
	port := startBackend(t, "one")
	r.reconfigure(t, "bystander", port)
	sections := sectionsOf(t, r)

	accepted := []attempt{}
	for _, p := range service.Parameters() {
		for kind, value := range hostile() {
			a := attempt{fmt.Sprintf("h%d", len(accepted)), p.Name, kind}
			before := get(t, r.url("/v1/services")).Body
			q := demo(a.name, port, append(company(p.Name), "wait", "none")...)
			q.Set(p.Name, value)
			switch res := r.dfp("reconfigure", q); {
			case res.Err != nil:
				t.Fatalf("%s as %s: %v", kind, p.Name, res)
			case res.Status == http.StatusOK:
				a.name = q.Get("serviceName") // which may be the hostile value itself
				accepted = append(accepted, a)
			case res.Status < 400 || res.Status >= 500:
				t.Errorf("%s as %s: %v", kind, p.Name, res)
			case get(t, r.url("/v1/services")).Body != before:
				t.Errorf("%s as %s was refused and changed something: %v", kind, p.Name, res)
			}
		}
	}
	t.Logf("%d of %d accepted as literal values", len(accepted), len(service.Parameters())*len(hostile()))

	r.reconfigure(t, "after", port)
	t.Run("everything accepted is served", func(t *testing.T) {
		eventually(t, patience, "live", r.fresh)
		s, err := r.own()
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range s.Quarantine {
			t.Errorf("%+v does not load: %s", find(accepted, q.Service), q.Reason)
		}
	})
	t.Run("other services are routed", func(t *testing.T) {
		for _, path := range []string{"/bystander", "/after"} {
			if err := r.routed(path, "one"); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("no section and no directive came from a value", func(t *testing.T) {
		checkStructure(t, r, accepted)
	})
	t.Run("after their removal nothing is left", func(t *testing.T) {
		for _, a := range accepted {
			q := url.Values{"serviceName": {a.name}, "wait": {"none"}}
			mustStatus(t, r.dfp("remove", q), http.StatusOK)
		}
		r.remove(t, "after")
		eventually(t, patience, "live", r.fresh)
		if after := sectionsOf(t, r); !slices.Equal(after, sections) {
			t.Errorf("sections %q, before: %q; services: %s", after, sections, get(t, r.url("/v1/services")).Body)
		}
	})
}

func find(all []attempt, name string) attempt {
	for _, a := range all {
		if a.name == name {
			return a
		}
	}
	return attempt{name: name}
}

// sectionsOf lists the lines of haproxy.cfg that open a section.
func sectionsOf(t testing.TB, r *replica) []string {
	t.Helper()
	a := mustStatus(t, r.dfp("config", nil), http.StatusOK)
	var sections []string
	for line := range strings.Lines(a.Body) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && !strings.ContainsAny(line[:1], " \t#") {
			sections = append(sections, line)
		}
	}
	return sections
}

// checkStructure expects no section beside those of known names, and no directive whose
// first word is a marker.
func checkStructure(t *testing.T, r *replica, accepted []attempt) {
	t.Helper()
	for _, section := range sectionsOf(t, r) {
		if strings.Contains(section, "evil") || strings.Contains(section, "{{") {
			t.Errorf("a section from a value: %q", section)
		}
	}
	config := mustStatus(t, r.dfp("config", nil), http.StatusOK).Body
	for line := range strings.Lines(config) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == "evil" {
			t.Errorf("a directive from a value: %q", line)
		}
	}
	for _, leak := range []string{"deny_status 418", "root:x:0:0"} {
		if strings.Contains(config, leak) {
			t.Errorf("the configuration holds %q; accepted: %v", leak, accepted)
		}
	}
}

// TestLiteralValues: what looks like syntax arrives at the other end byte by byte, but that a percent
// sign may be doubled.
func TestLiteralValues(t *testing.T) {
	r := startReplica(t, "local")
	port := startBackend(t, "one")
	for i, value := range []string{
		`"quoted" it's`, `{braces} {{.}} ${HOME} $x`, `a+b&c<d>e;f|g`, `back\slash # hash`, `100% %sure %%ci %%`, `[x] (y) *?^`, `tab-less, or so`,
	} {
		t.Run(value, func(t *testing.T) {
			name := fmt.Sprintf("literal-%d", i)
			// The separator of lists cannot be part of a value in a query: JSON has no separator.
			document := map[string]any{
				"serviceName":  name,
				"addReqHeader": []any{map[string]any{"name": "X-Literal", "value": value}},
				"setResHeader": []any{map[string]any{"name": "X-Literal", "value": value}},
				"destinations": []any{map[string]any{
					"port": port, "reqMode": "http", "servicePath": []string{"/" + name}, "outboundHostname": "127.0.0.1",
				}},
			}
			body, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			url := r.url("/v1/services/" + name + "?wait=local&timeout=1m")
			mustStatus(t, send(t.Context(), http.MethodPut, url, string(body), "Content-Type: application/json"), http.StatusOK)
			a, want := r.request("/"+name), strings.ReplaceAll(value, "%%", "%")
			if got := decode[echo](t, a).Header.Get("X-Literal"); got != want {
				t.Errorf("the backend got %q, want %q", got, want)
			}
			if got := a.Header.Get("X-Literal"); got != want {
				t.Errorf("the client got %q, want %q", got, want)
			}
		})
	}
}
