package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/deploy/testport"
)

// startArgs run a replica on free ports with directories of the test.
func startArgs(t *testing.T, dir string) []string {
	t.Helper()
	return []string{
		"run", "--api-addr", testport.FreeAddr(t), "--nats-listen", testport.FreeAddr(t), "--data-dir", filepath.Join(dir, "data"), "--cfg-dir", filepath.Join(dir, "cfg"),
		"--certs-dir", dir, "--errorfiles-dir", dir, "--secrets-dir", dir, "--bind-addr", "127.0.0.1",
	}
}

// refused runs a command line that must not start; one that does is ended.
func refused(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	log := &output{}
	p := program{environ: environ, in: strings.NewReader(""), out: log, err: log}
	code := execute(ctx, &p, args)
	return result{code: code, err: log.String()}
}

// TestABadSettingEndsTheStart: alone, with its name and a remedy, before anything starts.
func TestABadSettingEndsTheStart(t *testing.T) {
	for _, env := range []string{
		"CA_FILE=/nope", "CRT_LIST_PATH=/nope", "EXTRA_GLOBAL=foo bar", "EXTRA_FRONTEND=bogus x", "COMPRESSION_ALGO=foo", "SSL_BIND_OPTIONS=foo",
		"SSL_BIND_CIPHERS=foo", "DEFAULT_PORTS=19000 foo", "BIND_PORTS=19000 foo", "RESOLVERS=foo", "DEBUG_HTTP_FORMAT=%zz", "DEBUG_TCP_FORMAT=%zz",
		"TIMEOUT_CLIENT=soon", "SKIP_ADDRESS_VALIDATION=perhaps", "USERS=\xff:x",
	} {
		t.Run(env, func(t *testing.T) {
			dir := t.TempDir()
			name, _, _ := strings.Cut(env, "=")
			got := refused(t, []string{"DEBUG=true", env}, startArgs(t, dir)...)
			if got.code != exitFailed || !strings.HasPrefix(got.err, "sluice: "+name+": ") {
				t.Errorf("exit %d, %s", got.code, got.err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(left) > 0 {
				t.Errorf("left is %q, %v", left, err)
			}
		})
	}
}

// TestAllBadSettingsAtOnce: whatever it takes to find them, one line for each.
func TestAllBadSettingsAtOnce(t *testing.T) {
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	if err := os.WriteFile(tokens, []byte("short:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"SLUICE_CONSUL_ADDR=a b", "SLUICE_CONSUL_PREFIX=/", "SLUICE_LOG_SIZE=much", "TIMEOUT_CLIENT=soon", "TIMEOUT_SERVER=-1", "DEFAULT_PORTS=0,70000", "CA_FILE=/nope", "EXTRA_GLOBAL=foo bar", "USERS=\xff:x",
		"DFP_SERVICE_SERVICE_NAME=a", "DFP_SERVICE_PORT=x", "DFP_SERVICE_2_SERVICE_NAME=b/c", "DFP_SERVICE_2_PORT=80", "DFP_SERVICE_2_SERVICE_PATH=/b",
	}
	got := refused(t, env, append(startArgs(t, dir), "--tokens-file", tokens, "--cluster-key-file", filepath.Join(dir, "none"), "--nats-listen", "127.0.0.1:x", "--log-level", "loud")...)
	lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(got.err, "sluice: ")), "\n")
	want := []string{
		"--log-size (SLUICE_LOG_SIZE)", "--log-level (SLUICE_LOG_LEVEL)", "DEFAULT_PORTS: port item \"0\"", "DEFAULT_PORTS: port item \"70000\"", "TIMEOUT_CLIENT: ",
		"TIMEOUT_SERVER", "CA_FILE: ", "--nats-listen (SLUICE_NATS_LISTEN)", "EXTRA_GLOBAL: ", "--tokens-file (SLUICE_TOKENS_FILE", "USERS: ",
		"--consul-addr (SLUICE_CONSUL_ADDR", "--consul-prefix (SLUICE_CONSUL_PREFIX)", "DFP_SERVICE_PORT: ", "DFP_SERVICE_2_SERVICE_NAME: ", "--cluster-key-file (SLUICE_CLUSTER_KEY_FILE",
	}
	for _, setting := range want {
		n := 0
		for _, line := range lines {
			if strings.HasPrefix(line, setting) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is named %d times", setting, n)
		}
	}
	if got.code != exitFailed || len(lines) != len(want)+1 || t.Failed() { // one for what is missing of a service
		t.Errorf("exit %d:\n%s", got.code, got.err)
	}
}

// TestWhatHasNoEffectIsNamed: leftovers of Docker Flow Proxy's environment.
func TestWhatHasNoEffectIsNamed(t *testing.T) {
	cfg := runConfig(t, variables{"MODE": "swarm", "CERTS": "x", "HEALTHCHECK": "true"})
	for _, name := range []string{"MODE", "CERTS", "HEALTHCHECK"} {
		if !strings.Contains("\n"+strings.Join(cfg.Warnings, "\n"), "\n"+name+" has no effect: ") {
			t.Errorf("%s is not in %q", name, cfg.Warnings)
		}
	}
}

// TestRelativePaths: the working directory is where they begin.
func TestRelativePaths(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("ca.pem", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := refused(t, []string{"CA_FILE=ca.pem", "EXTRA_GLOBAL=foo"}, "run", "--data-dir", "./data", "--cfg-dir", "cfg", "--certs-dir", "certs", "--secrets-dir", ".", "--bind-addr", "127.0.0.1")
	if got.code != exitFailed || strings.Contains(got.err, "--cfg-dir") || !strings.Contains(got.err, here+"/ca.pem") || !strings.Contains(got.err, "EXTRA_GLOBAL: ") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	if _, err := os.Stat(filepath.Join(here, "cfg")); err != nil {
		t.Error(err)
	}
}
