package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sluice/cmd/internal/node"
	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api/apitest"
)

// invalid is a value that a parameter of each type never has.
func invalid(p service.Parameter) string {
	switch p.Type {
	case service.Headers:
		return "X-A b\nbackend evil"
	case service.Matches:
		return "X-A:b\nbackend evil"
	case service.Secret:
		return "\xff"
	}
	return "/a,/b\nbackend evil"
}

// complete are the parameters beside which p has an effect.
func complete(p service.Parameter) map[string]string {
	all := map[string]string{"servicePath": "/demo", "port": "8080", "serviceDomain": "acme.com"}
	if strings.HasPrefix(p.Name, "reqPathSearch") || p.Name == "reqPathReplace" {
		all["reqPathSearch"], all["reqPathReplace"] = "/a", "/b"
	}
	all[p.Name] = invalid(p)
	return all
}

func named(param string) string {
	if param == "reqPathSearch" || param == "reqPathReplace" {
		return "reqPathSearchReplace"
	}
	return param
}

// TestInvalidParameterOfACommand: by --set, by the flag and without the API.
func TestInvalidParameterOfACommand(t *testing.T) {
	b := apitest.New()
	env := environment(serve(t, b), writeToken)
	for _, p := range service.Parameters() {
		if p.Name == "serviceName" {
			continue // the argument
		}
		args := []string{"reconfigure", "go-demo", "--wait", "none"}
		for name, value := range complete(p) {
			args = append(args, "--set", name+"="+value)
		}
		ways := map[string][]string{"--set": args, "--dry-run": append(args[:len(args):len(args)], "--dry-run")}
		if !p.Deprecated && p.Name != "distribute" {
			ways["its flag"] = []string{"reconfigure", "go-demo", "--port=8080", "--service-path=/demo", "--service-domain=acme.com", "--" + kebab(p.Name) + "=" + invalid(p)}
			if p.Level == service.DestinationLevel && p.Type != service.List {
				ways["its flag"] = append(ways["its flag"][:2:2], "--set=servicePath=/demo", "--set=port=8080", "--"+kebab(p.Name)+"="+invalid(p))
			}
		}
		for way, args := range ways {
			got := sluice(t, env, "", args...)
			if got.code != exitRefused || !strings.Contains(got.err, named(p.Name)) || got.out != "" {
				t.Errorf("%s by %s: exit %d, %q %q", p.Name, way, got.code, got.out, got.err)
			}
		}
	}
	got := sluice(t, env, "", "reconfigure", "a\nb", "--port", "80", "--service-path", "/a")
	if got.code != exitRefused || !strings.Contains(got.err, "serviceName") {
		t.Errorf("a bad name: exit %d, %q", got.code, got.err)
	}
	records := 0
	if err := b.Records(t.Context(), events.Query{}, func(events.Record) error { records++; return nil }); err != nil || records+len(b.Entries("")) > 0 {
		t.Errorf("%d records, %d entries, %v", records, len(b.Entries("")), err)
	}
}

// TestInvalidParameterOfTheEnvironment: one service for each parameter; the start is refused
// with the name of every variable.
func TestInvalidParameterOfTheEnvironment(t *testing.T) {
	env, want := variables{}, []string{}
	for i, p := range service.Parameters() {
		prefix := fmt.Sprintf("DFP_SERVICE_%d_", i+1)
		env[prefix+"SERVICE_NAME"] = fmt.Sprintf("s%d", i)
		for name, value := range complete(p) {
			env[prefix+constantCase(name)] = value
		}
		if named(p.Name) == p.Name {
			want = append(want, prefix+constantCase(p.Name))
		} else {
			want = append(want, prefix+"* (reqPathSearchReplace)")
		}
		if p.Level == service.DestinationLevel {
			prefix = fmt.Sprintf("DFP_SERVICE_%d_", i+1001)
			env[prefix+"SERVICE_NAME"] = fmt.Sprintf("indexed%d", i)
			env[prefix+"PORT_1"], env[prefix+"SERVICE_PATH_1"] = "80", "/a"
			env[prefix+constantCase(p.Name)+"_1"] = invalid(p)
			want = append(want, prefix+constantCase(p.Name)+"_1")
		}
	}
	cfg, err := configured(t, env, nil)
	if err != nil || len(cfg.Warnings) > 0 {
		t.Fatal(err, cfg.Warnings)
	}
	dir := t.TempDir()
	cfg.DataDir, cfg.Proxy.CfgDir, cfg.APIAddr, cfg.NATS.Listen = filepath.Join(dir, "data"), filepath.Join(dir, "cfg"), "127.0.0.1:0", "127.0.0.1:0"
	n, err := node.Open(t.Context(), cfg)
	if err == nil {
		t.Fatalf("%v starts", n)
	}
	for _, variable := range want {
		if !strings.Contains(err.Error(), variable+": ") {
			t.Errorf("no %s in the refusal", variable)
		}
	}
	if strings.Contains(err.Error(), "\nbackend evil") || strings.Contains(err.Error(), "\xff") {
		t.Errorf("the refusal shows the values raw: %q", err)
	}
}

// TestInvalidDomainAlgoOfTheEnvironment: it would make every service with a domain invalid.
func TestInvalidDomainAlgoOfTheEnvironment(t *testing.T) {
	for value, good := range map[string]bool{"hdr_beg(host)": true, "": true, "env(HOME)": false, "hdr(host)\nbackend evil": false} {
		cfg, err := configured(t, variables{"SERVICE_DOMAIN_ALGO": value}, nil)
		if err == nil {
			err = cfg.Validate()
		}
		if bad := err != nil && strings.Contains(err.Error(), "SERVICE_DOMAIN_ALGO"); bad == good {
			t.Errorf("%q: %v", value, err)
		}
	}
}
