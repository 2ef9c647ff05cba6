package host_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// docker runs docker and expects that it works.
func docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("docker %s: %w: %.300s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	since := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for err := check(); err != nil; err = check() {
		if time.Since(since) > within {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		<-tick.C
	}
	t.Logf("%s: after %v", what, time.Since(since).Round(100*time.Millisecond))
}

// patience is how long a test waits for what takes seconds on a quiet machine.
const patience = 3 * time.Minute

// socket is where this Docker listens.
func socket(t testing.TB) string {
	t.Helper()
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		t.Fatal("no Docker: run deploy/test.sh swarm, which starts one of its own")
	}
	return strings.TrimPrefix(host, "unix://")
}

// edge is a proxy, and the network of its containers.
type edge struct{ network, proxy string }

// start runs a proxy that watches this Docker.
func start(t testing.TB) edge {
	t.Helper()
	e := edge{network: "edge", proxy: "edge-proxy"}
	docker(t, "network", "create", e.network)
	t.Cleanup(func() { docker(t, "network", "rm", e.network) })
	e.run(t, e.proxy, "--volume", socket(t)+":/var/run/docker.sock:ro", "sluice:latest",
		"run", "--docker-host", "unix:///var/run/docker.sock")
	eventually(t, patience, "the proxy is healthy", func() error { return healthy(e.proxy) })
	return e
}

func healthy(container string) error {
	state, err := try("inspect", "-f", "{{.State.Health.Status}}", container)
	if err != nil || state != "healthy" {
		return fmt.Errorf("it is %q: %w", state, err)
	}
	return nil
}

// run starts a container of the network that is removed after the test.
func (e edge) run(t testing.TB, name string, args ...string) {
	t.Helper()
	docker(t, append([]string{"run", "--detach", "--name", name, "--network", e.network}, args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			logs, err := try("logs", "--tail", "30", name)
			t.Logf("%s: %v\n%s", name, err, logs)
		}
		_, _ = try("rm", "-f", name) // gone already, if all went well
	})
}

// routed is nil if the proxy answers path with want.
func (e edge) routed(path, want string) error {
	out, err := try("run", "--rm", "--network", e.network, "sluice-load:latest", "get", "http://"+e.proxy+path)
	if !strings.Contains(out, want) {
		return fmt.Errorf("%v: %.300s", err, out)
	}
	return nil
}

// follows checks that a container is routed because of its labels, and is not any more once it
// is removed.
func (e edge) follows(t testing.TB) {
	t.Helper()
	e.run(t, "go-demo", "--label", "com.df.notify=true", "--label", "com.df.servicePath=/demo", "--label", "com.df.port=8080",
		"sluice-demo:latest")
	eventually(t, patience, "routed", func() error { return e.routed("/demo/hello", "hello from go-demo") })
	config := docker(t, "exec", e.proxy, "cat", "/cfg/haproxy.cfg")
	if !strings.Contains(config, "backend go-demo-be8080_0") {
		t.Errorf("haproxy.cfg:\n%s", config)
	}
	docker(t, "rm", "-f", "go-demo")
	eventually(t, patience, "gone", func() error { return e.routed("/demo/hello", "503 Service Unavailable") })
}

// TestLabelledContainers: one container that is proxy and watcher.
func TestLabelledContainers(t *testing.T) { start(t).follows(t) }
