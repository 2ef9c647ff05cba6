package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const token = "0123456789abcdef0123456789abcdef"

// project is deploy/compose.yml on this Docker.
type project struct{ environ []string }

func (p project) compose(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker-compose", append([]string{"--project-name", "edge", "--file", "../../compose.yml"}, args...)...)
	cmd.Env = append(os.Environ(), p.environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("docker-compose %s: %w: %.600s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func (p project) must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := p.compose(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// up starts the project with tokens of the test.
func up(t testing.TB) project {
	t.Helper()
	secrets := t.TempDir()
	for name, text := range map[string]string{"tokens": "watch:" + token + "\n", "watch_token": token + "\n"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := project{environ: []string{"SLUICE_SECRETS=" + secrets, "DOCKER_SOCKET=" + socket(t)}}
	t.Cleanup(func() {
		if t.Failed() {
			logs, err := p.compose("logs", "--tail", "30")
			t.Logf("%v\n%s", err, logs)
		}
		p.must(t, "down", "--volumes")
	})
	p.must(t, "up", "--detach")
	return p
}

// TestCompose: deploy/compose.yml routes containers by their labels, asks for a token, and keeps
// its log through a new container.
func TestCompose(t *testing.T) {
	p := up(t)
	e := edge{network: "proxy", proxy: p.must(t, "ps", "--quiet", "proxy")[:12]}
	for _, service := range []string{"proxy", "watch"} {
		eventually(t, patience, service+" is healthy", func() error { return healthy(p.must(t, "ps", "--quiet", service)) })
	}
	e.follows(t)

	if out, err := p.compose("exec", "-T", "proxy", "sluice", "services"); err == nil || !strings.Contains(out, "token") {
		t.Errorf("without token: %v %s", err, out)
	}
	admin := []string{"exec", "-T", "-e", "SLUICE_TOKEN=" + token, "proxy", "sluice"}
	p.must(t, append(admin, "reconfigure", "kept", "--port", "8080", "--service-path", "/kept")...)
	p.must(t, "up", "--detach", "--force-recreate", "proxy")
	eventually(t, patience, "the new container has the old one's service", func() error {
		out, err := p.compose(append(admin, "services")...)
		if err == nil && !strings.Contains(out, "kept") {
			err = errors.New(out)
		}
		return err
	})
}
