// Package watchtest is for tests only: `sluice watch` as a container of a real Docker.
package watchtest

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Config says where a watcher runs and what it watches.
type Config struct {
	// Docker is the daemon that runs it, and whose socket it gets: unix:///….
	Docker string
	// Image holds it. Program, if not empty, is the path of a static sluice on the daemon's
	// machine that is put into the container instead.
	Image, Program string
	// Network is one where API resolves; empty: the machine's own.
	Network string
	// API is what --api takes, e.g. http://tasks.proxy:8080; Token is empty for none.
	API, Token string
	// Args are further arguments, e.g. --service-name-prefix dc1.
	Args []string
}

// Watcher is one that runs. Its methods end the test where Docker does not do as it is told.
type Watcher struct {
	t      testing.TB
	docker string
	name   string
}

const (
	socket  = "/var/run/docker.sock"
	program = "/usr/local/bin/sluice"
	patient = time.Minute
)

// Start runs a watcher until the test ends.
func Start(t testing.TB, cfg Config) *Watcher {
	t.Helper()
	w := &Watcher{t: t, docker: cfg.Docker, name: fmt.Sprintf("sluice-watch-%d", time.Now().UnixNano())}
	network := cfg.Network
	if network == "" {
		network = "host"
	}
	args := []string{"run", "--detach", "--name", w.name, "--user", "root", "--network", network,
		"--volume", strings.TrimPrefix(cfg.Docker, "unix://") + ":" + socket, "--env", "SLUICE_API=" + cfg.API, "--env", "SLUICE_TOKEN=" + cfg.Token}
	if cfg.Program != "" {
		args = append(args, "--volume", cfg.Program+":"+program+":ro")
	}
	args = append(args, "--entrypoint", program, cfg.Image, "watch")
	w.do(append(args, cfg.Args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the watcher's log:\n%s", w.Logs())
		}
		w.do("rm", "--force", w.name)
	})
	return w
}

// Stop stops it, as if it had never been; Resume runs it again.
func (w *Watcher) Stop() { w.do("stop", "--time", "5", w.name) }

// Resume runs a stopped one again.
func (w *Watcher) Resume() { w.do("start", w.name) }

// Logs are its log lines so far.
func (w *Watcher) Logs() string { return w.do("logs", w.name) }

// do gives what docker says on both streams.
func (w *Watcher) do(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), patient)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", append([]string{"--host", w.docker}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Errorf("docker %s: %v: %s", args[0], err, out)
	}
	return string(out)
}
