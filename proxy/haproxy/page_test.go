package haproxy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/proxy"
)

// TestABadErrorPageCostsItselfOnly: HAProxy refuses each of these, and with it every
// configuration that names it. It is left out, at the start and later, with a note.
func TestABadErrorPageCostsItselfOnly(t *testing.T) {
	const good = "HTTP/1.1 503 Gone fishing\r\nX-Page: fish\r\nContent-Length: 4\r\n\r\nfish"
	dir := t.TempDir()
	put := func(code, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, code+".http"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("500", "<h1>oops</h1>")
	put("503", good)
	r := newRig(t, func(_ *rig, cfg *proxy.Config) { cfg.Options.ErrorfilesDir = dir })
	port := echo(t, "x")
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + port)
	r.goes(call{path: "/x"}, "x")
	told := func(code string) bool {
		return strings.Contains(strings.Join(r.controller.Report().Notes, "\n"), code+".http is not used: haproxy refuses it")
	}
	fish := func() bool {
		a, err := r.try(call{path: "/none"})
		return err == nil && a.status == 503 && a.header.Get("X-Page") == "fish"
	}
	if !told("500") || told("503") || !fish() {
		t.Errorf("notes %q", r.controller.Report().Notes)
	}
	for name, text := range map[string]string{
		"no status line": "oops", "a bad version": "HTTP/11 502 Bad\r\n\r\n", "no end of the headers": "HTTP/1.1 502 Bad\r\nA: b\r\n",
		"larger than a buffer": "HTTP/1.1 502 Bad\r\n\r\n" + strings.Repeat("x", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			r.TB = t
			put("502", text)
			r.await("the page to be left out", func() bool { return told("502") })
			if err := r.controller.Reload(t.Context(), true); err != nil {
				t.Error(err)
			}
			r.goes(call{path: "/x"}, "x")
			if err := os.Remove(filepath.Join(dir, "502.http")); err != nil {
				t.Fatal(err)
			}
			r.await("the note to go", func() bool { return !told("502") })
		})
	}
	put("503", "not an answer at all")
	r.await("the page to be dropped", func() bool { return told("503") && !fish() })
	put("503", good)
	r.await("the page to be back", fish)
	if r.controller.Report().LastError != "" {
		t.Errorf("error %q", r.controller.Report().LastError)
	}
}
