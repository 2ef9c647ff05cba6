package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/deploy/testport"
)

// TestBadSettingsOfABroker: each once, on its own line, with flag, variable and remedy.
func TestBadSettingsOfABroker(t *testing.T) {
	dir := t.TempDir()
	seed := filepath.Join(dir, "keys")
	if err := os.WriteFile(seed, []byte("SUASECRET\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args, want []string
	}{
		"no address":       {[]string{"--nats-listen", "foo"}, []string{"--nats-listen (SLUICE_NATS_LISTEN) "}},
		"no port":          {[]string{"--nats-listen", "127.0.0.1:x"}, []string{"--nats-listen (SLUICE_NATS_LISTEN) "}},
		"nothing":          {[]string{"--nats-listen", ""}, []string{"--nats-listen (SLUICE_NATS_LISTEN) "}},
		"a small store":    {[]string{"--max-store", "5"}, []string{"--max-store (SLUICE_MAX_STORE) "}},
		"no certificate":   {[]string{"--nats-client-ca", "ca.pem"}, []string{"--nats-client-ca (SLUICE_NATS_CLIENT_CA) "}},
		"half of one":      {[]string{"--nats-cert", "cert.pem"}, []string{"--nats-key (SLUICE_NATS_KEY) "}},
		"the other half":   {[]string{"--nats-key", "key.pem"}, []string{"--nats-cert (SLUICE_NATS_CERT) "}},
		"one that is away": {[]string{"--nats-cert", "/no/cert", "--nats-key", "/no/key"}, []string{"--nats-cert (SLUICE_NATS_CERT), --nats-key (SLUICE_NATS_KEY): "}},
		"a log for all":    {[]string{"--nats-listen", ":0"}, []string{"--nats-listen (SLUICE_NATS_LISTEN) "}},
		"all at once": {
			[]string{"--nats-listen", "127.0.0.1:x", "--max-store", "5", "--nats-client-ca", "ca.pem", "--nats-nkeys-file", seed, "--health-addr", "y", "--log-level", "loud"},
			[]string{
				"--log-level (SLUICE_LOG_LEVEL) ", "--health-addr (SLUICE_HEALTH_ADDR) ", "--nats-listen (SLUICE_NATS_LISTEN) ", "--max-store (SLUICE_MAX_STORE) ",
				`--nats-nkeys-file (SLUICE_NATS_NKEYS_FILE, secret sluice_nats_nkeys): "S…"`, `--nats-nkeys-file (SLUICE_NATS_NKEYS_FILE, secret sluice_nats_nkeys): "nonsense"`, "--nats-client-ca (SLUICE_NATS_CLIENT_CA) ",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"broker", "--data-dir", filepath.Join(dir, "data"), "--secrets-dir", dir, "--health-addr", testport.FreeAddr(t), "--nats-listen", testport.FreeAddr(t)}, c.args...)
			got := refused(t, nil, args...)
			lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(got.err, "sluice: ")), "\n")
			if got.code != exitFailed || len(lines) != len(c.want) {
				t.Fatalf("exit %d, %d lines, want %d: %s", got.code, len(lines), len(c.want), got.err)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], want) || !strings.Contains(lines[i][len(want):], ": ") && !strings.Contains(want, ": ") {
					t.Errorf("%q is not %q, the problem and a remedy", lines[i], want)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "data", "log")); err == nil {
				t.Error("a store was made")
			}
		})
	}
}
