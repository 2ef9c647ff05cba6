package haproxy_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/crdt/service"
	"sluice/proxy"
)

// TestTheOperatorsListOfCertificates: HAProxy shows what is in it; nothing else is taken or told
// to be shown.
func TestTheOperatorsListOfCertificates(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fallback, in, out := file("self.pem", bundle(t, "self.test")), file("in.pem", bundle(t, "in.test")), file("out.pem", bundle(t, "out.test"))
	list := file("list.txt", []byte("# mine\n\n"+in+" [alpn h2] in.test\n"))
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Options.Binds = append(cfg.Options.Binds, proxy.Bind{Addr: "127.0.0.1", Port: r.tls, TLS: true})
		cfg.Options.CrtList = list
		cfg.Certificates = files{fallback: fallback, list: []proxy.Certificate{{Name: "in.pem", Path: in}, {Name: "out.pem", Path: out}}}
	})
	query := "serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x")
	r.reconfigure(query)
	shown := func() (names []string) {
		for _, c := range r.controller.Certificates() {
			names = append(names, c.Name)
		}
		return names
	}
	if got := strings.Join(shown(), " "); got != "in.pem" || r.presented("in.test") != "in.test" {
		t.Errorf("told to be shown: %s", got)
	}
	t.Run("what would not be shown is refused", func(t *testing.T) {
		_, value := r.value(query + "&serviceCert=" + url.QueryEscape(string(bundle(t, "svc.test"))))
		s, err := service.Decode(value)
		if err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"serviceCert": r.controller.Check(t.Context(), s), "body": r.controller.CheckCertificate(t.Context(), bundle(t, "a.test")),
		} {
			var fields service.Errors
			if !errors.As(err, &fields) || fields[0].Param != name || fields.Taken() || !strings.Contains(err.Error(), "CRT_LIST_PATH") {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
	t.Run("what is there nevertheless is a note", func(t *testing.T) {
		r.TB = t
		r.certify(proxy.Bundle{Name: "in.pem", Version: "1", PEM: bundle(t, "a.test")})
		if got := strings.Join(shown(), " "); got != "in.pem" || r.presented("in.test") != "in.test" {
			t.Errorf("told to be shown: %s", got)
		}
		if notes := strings.Join(r.controller.Report().Notes, "\n"); !strings.Contains(notes, "certificate in.pem") {
			t.Errorf("notes %q", notes)
		}
	})
	t.Run("a change of the list is followed", func(t *testing.T) {
		r.TB = t
		file("list.txt", []byte(out+"\n"))
		r.await("the other one to be shown", func() bool {
			return strings.Join(shown(), " ") == "out.pem" && r.presented("out.test") == "out.test"
		})
	})
}
