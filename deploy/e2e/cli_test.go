package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// cli runs a command against a replica.
func cli(t testing.TB, r *replica, args ...string) (code int, output string) {
	t.Helper()
	p := startProcess(t, "cli", []string{"SLUICE_API=" + r.url("")}, sluice, args...)
	return p.exitCode(t, patience), p.output()
}

// TestCommandLine: the commands do what they say, and their exit codes tell it.
func TestCommandLine(t *testing.T) {
	r := startReplica(t, "local")
	port := startBackend(t, "one")

	steps := []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"version", []string{"version"}, 0, nil},
		{"no service yet", []string{"show", "go-demo"}, 1, []string{"go-demo"}},
		{"reconfigure", []string{"reconfigure", "go-demo", "--port", fmt.Sprint(port), "--service-path", "/demo",
			"--set", "outboundHostname=127.0.0.1", "--wait", "all"}, 0, nil},
		{"services", []string{"services"}, 0, []string{"go-demo"}},
		{"show", []string{"show", "go-demo"}, 0, []string{"/demo"}},
		{"log", []string{"log"}, 0, []string{"service/go-demo", "cli"}},
		{"log of one service", []string{"log", "go-demo"}, 0, []string{"service/go-demo"}},
		{"status", []string{"status"}, 0, []string{"local"}},
		{"healthcheck", []string{"healthcheck"}, 0, nil},
		{"refused", []string{"reconfigure", "bad", "--port", "99999", "--service-path", "/x"}, 4, []string{"port"}},
		{"a dry run changes nothing", []string{"reconfigure", "dry", "--port", "80", "--service-path", "/dry", "--dry-run"}, 0, []string{"/dry"}},
		{"nothing came of it", []string{"show", "dry"}, 1, nil},
		{"completion", []string{"completion", "bash"}, 0, []string{"complete"}},
		{"no such command", []string{"nonsense"}, 1, []string{"nonsense"}},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			code, output := cli(t, r, s.args...)
			if code != s.code {
				t.Errorf("exit code %d, want %d: %s", code, s.code, output)
			}
			says(t, output, s.says...)
		})
	}
	if err := r.routed("/demo", "one"); err != nil {
		t.Error(err)
	}
	t.Run("JSON output is JSON", func(t *testing.T) {
		for _, command := range []string{"services", "status", "version"} {
			code, output := cli(t, r, command, "--output", "json")
			if code != 0 || !json.Valid([]byte(output)) {
				t.Errorf("%s: exit code %d: %s", command, code, output)
			}
		}
		code, output := cli(t, r, "show", "go-demo", "--output", "json")
		if code != 0 || !strings.Contains(output, `"servicePath"`) {
			t.Errorf("show: exit code %d: %s", code, output)
		}
	})
	t.Run("remove", func(t *testing.T) {
		if code, output := cli(t, r, "remove", "go-demo", "--wait", "all"); code != 0 {
			t.Errorf("exit code %d: %s", code, output)
		}
		mustStatus(t, r.request("/demo"), http.StatusServiceUnavailable)
	})
	t.Run("nobody answers", func(t *testing.T) {
		code, output := cli(t, r, "services", "--api", "http://"+loopback(freePort(t)))
		if code != 1 {
			t.Errorf("exit code %d, want 1: %s", code, output)
		}
		says(t, output, "--api")
	})
}
