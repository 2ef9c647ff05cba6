package haproxy_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/proxy"
	"sluice/proxy/certs"
	"sluice/proxy/haproxy"
)

// counting counts how often HAProxy is asked.
type counting struct {
	proxy.Checker
	asked int
}

func (c *counting) Check(ctx context.Context, file string) error {
	c.asked++
	return c.Checker.Check(ctx, file)
}

// verdict asks a real HAProxy about settings, and how often it was asked.
func verdict(t *testing.T, o proxy.Options) (string, int) {
	t.Helper()
	binary, err := haproxy.Find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, err := certs.New(certs.Config{FallbackFile: filepath.Join(dir, "self-signed.pem"), WriteFile: writeFile, Now: time.Now}).Fallback()
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{Checker: binary}
	if err = (proxy.SettingsCheck{Options: o, Checker: c, Dir: dir, Certificate: certificate}).Run(t.Context()); err == nil {
		return "", c.asked
	}
	return err.Error(), c.asked
}

func binds(t *testing.T, o *proxy.Options, defaults, more string) {
	t.Helper()
	o.Binds = nil
	for setting, list := range map[string]string{proxy.DefaultPorts: defaults, proxy.BindPorts: more} {
		all, err := proxy.ParseBinds(setting, list, o.BindAddr)
		if err != nil {
			t.Fatal(err)
		}
		o.Binds = append(o.Binds, all...)
	}
}

func allSettings(t *testing.T) proxy.Options {
	t.Helper()
	o := proxy.DefaultOptions()
	o.ExtraGlobal, o.ExtraFrontend = []string{"nbthread 1"}, []string{"acl extra path /extra"}
	o.CompressionAlgo, o.CompressionType = "gzip deflate", "text/html text/css"
	o.CaptureRequestHeader, o.Resolvers = []string{"Host:20"}, []string{"nameserver dns 127.0.0.1:53", "hold valid 1s"}
	o.AccessLog = proxy.AccessLog{Enabled: true, HTTPFormat: "%ci %hr %ST", TCPFormat: "%ci %Tt"}
	o.Stats = proxy.Stats{User: "u", Password: "p", URI: "/stats", Port: 8404}
	o.BindAddr = "127.0.0.1"
	binds(t, &o, "8000 accept-proxy,8443:ssl", "[::1]:9000")
	return o
}

// TestSettingsThatHAProxyTakes: one question is enough.
func TestSettingsThatHAProxyTakes(t *testing.T) {
	for name, o := range map[string]proxy.Options{"the defaults": proxy.DefaultOptions(), "all of them": allSettings(t)} {
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text, asked := verdict(t, o); text != "" || asked != 1 {
			t.Errorf("%s: asked %d times, %s", name, asked, text)
		}
	}
}

// bad are values that HAProxy refuses, by setting, with a word of its reason.
var bad = []struct {
	setting, says string
	change        func(t *testing.T, o *proxy.Options)
}{
	{"--bind-addr (SLUICE_BIND_ADDR)", "nowhere.invalid", func(t *testing.T, o *proxy.Options) {
		o.BindAddr = "nowhere.invalid"
		binds(t, o, "8000 accept-proxy,8443:ssl", "[::1]:9000")
	}},
	{"EXTRA_GLOBAL", "'foo'", func(_ *testing.T, o *proxy.Options) { o.ExtraGlobal = []string{"nbthread 1", "foo bar"} }},
	{"EXTRA_FRONTEND", "'bogus'", func(_ *testing.T, o *proxy.Options) { o.ExtraFrontend = []string{"bogus x"} }},
	{"SSL_BIND_OPTIONS", "'foo'", func(_ *testing.T, o *proxy.Options) { o.SSLBindOptions = "foo" }},
	{"SSL_BIND_CIPHERS", "'foo'", func(_ *testing.T, o *proxy.Options) { o.SSLBindCiphers = "foo" }},
	{"RESOLVERS", "'foo'", func(_ *testing.T, o *proxy.Options) { o.Resolvers = []string{"foo"} }},
	{"DEFAULT_PORTS", "'foo'", func(t *testing.T, o *proxy.Options) { binds(t, o, "8000 foo,8443:ssl", "9000") }},
	{"BIND_PORTS", "'foo'", func(t *testing.T, o *proxy.Options) { binds(t, o, "8000,8443:ssl", "9000 foo") }},
	{"CA_FILE", "ca-file", func(t *testing.T, o *proxy.Options) {
		o.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		note(t, o.CAFile, "no certificate")
	}},
	{"CRT_LIST_PATH", "/nope.pem", func(t *testing.T, o *proxy.Options) {
		o.CrtList = filepath.Join(t.TempDir(), "list")
		note(t, o.CrtList, "/nope.pem\n")
	}},
	{"DEBUG_HTTP_FORMAT", "'zz'", func(_ *testing.T, o *proxy.Options) { o.AccessLog = proxy.AccessLog{Enabled: true, HTTPFormat: "%zz"} }},
	{"DEBUG_TCP_FORMAT", "'zz'", func(_ *testing.T, o *proxy.Options) { o.AccessLog = proxy.AccessLog{Enabled: true, TCPFormat: "%zz"} }},
}

func note(t *testing.T, path, text string) {
	t.Helper()
	if err := writeFile(path, []byte(text), fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestSettingsThatHAProxyRefuses: each is blamed, and nothing else.
func TestSettingsThatHAProxyRefuses(t *testing.T) {
	for _, b := range bad {
		t.Run(b.setting, func(t *testing.T) {
			t.Parallel()
			o := proxy.DefaultOptions()
			o.CompressionAlgo = "gzip"
			b.change(t, &o)
			text, _ := verdict(t, o)
			if !strings.HasPrefix(text, b.setting+": HAProxy refuses it: ") || strings.Contains(text, "\n") {
				t.Errorf("%s is blamed as %q", b.setting, text)
			}
			if !strings.Contains(text, b.says) || !strings.Contains(text, "; ") || strings.Contains(text, "haproxy.cfg") {
				t.Errorf("%q does not say %q and a remedy alone", text, b.says)
			}
		})
	}
}

// TestAllRefusedSettingsAtOnce: what is wrong of them without HAProxy hides none.
func TestAllRefusedSettingsAtOnce(t *testing.T) {
	for _, timeout := range []int{5, -1} {
		o := allSettings(t)
		o.Timeouts.Connect = timeout
		var want []string
		for _, b := range bad {
			if !strings.Contains(b.setting, "_PORTS") && !strings.Contains(b.setting, "bind-addr") {
				b.change(t, &o)
				want = append(want, b.setting)
			}
		}
		o.AccessLog.HTTPFormat = "%zz"
		text, _ := verdict(t, o)
		lines := strings.Split(text, "\n")
		if len(lines) != len(want) {
			t.Errorf("%d lines, want %d:\n%s", len(lines), len(want), text)
		}
		for _, setting := range want {
			if !strings.Contains("\n"+text, "\n"+setting+": ") {
				t.Errorf("%s is not blamed in\n%s", setting, text)
			}
		}
	}
}

// TestASettingMayUseAnother: a refused one is not blamed for what it finds missing.
func TestASettingMayUseAnother(t *testing.T) {
	o := allSettings(t)
	lua := filepath.Join(t.TempDir(), "extra.lua")
	note(t, lua, `core.register_action("extra", {"http-req"}, function(txn) end)`)
	o.ExtraGlobal, o.ExtraFrontend = []string{"lua-load " + lua}, []string{"http-request lua.extra"}
	if text, _ := verdict(t, o); strings.Contains(text, "lua-load") {
		t.Skip("this HAProxy has no Lua")
	}
	o.SSLBindOptions = "foo"
	if text, _ := verdict(t, o); !strings.HasPrefix(text, "SSL_BIND_OPTIONS: ") || strings.Contains(text, "\n") {
		t.Errorf("blamed is %s", text)
	}
}

func TestNoHAProxyIsNoVerdict(t *testing.T) {
	dir := t.TempDir()
	c := proxy.SettingsCheck{Options: proxy.DefaultOptions(), Checker: haproxy.Binary{Path: "/nonexistent"}, Dir: dir}
	if err := c.Run(t.Context()); err == nil || strings.Contains(err.Error(), "refuses") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
