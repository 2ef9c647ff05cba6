package main

import (
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"

	"sluice/cmd/internal/node"
)

// runConfig is what "sluice run" makes of an environment, with directories of the test.
func runConfig(t *testing.T, env variables) node.Config {
	t.Helper()
	dir := t.TempDir()
	flags, fs := newRunFlags(), pflag.NewFlagSet("run", pflag.ContinueOnError)
	flags.register(fs)
	for _, name := range []string{"data-dir", "cfg-dir", "certs-dir", "errorfiles-dir", "secrets-dir"} {
		if err := fs.Set(name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	cfg := flags.config(fs, env)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestAPIAddressOfDFP(t *testing.T) {
	for name, c := range map[string]struct {
		env  variables
		want string
	}{
		"nothing":           {variables{}, ":8080"},
		"port":              {variables{"PORT": "81"}, ":81"},
		"IPv4":              {variables{"IP": "127.0.0.1"}, "127.0.0.1:8080"},
		"IPv6":              {variables{"IP": "::1", "PORT": "81"}, "[::1]:81"},
		"IPv6 in brackets":  {variables{"IP": "[::1]"}, "[::1]:8080"},
		"the flag's own":    {variables{"IP": "::1", "SLUICE_API_ADDR": "127.0.0.1:9"}, "127.0.0.1:9"},
		"the flag's, empty": {variables{"IP": "127.0.0.1", "SLUICE_API_ADDR": ""}, "127.0.0.1:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := runConfig(t, c.env).APIAddr; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestEmptyVariableIsAbsent(t *testing.T) {
	cfg := runConfig(t, variables{"SLUICE_INSECURE_API": "", "SLUICE_CONSUL_ADDR": "", "CONSUL_ADDRESS": "consul:8500"})
	if cfg.InsecureAPI || len(cfg.Consul.Addrs) != 1 {
		t.Errorf("insecure %v, consul %v", cfg.InsecureAPI, cfg.Consul.Addrs)
	}
}
