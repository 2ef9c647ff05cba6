package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// checkout copies the sources, as a clone would, to a directory of its own.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, entry := range []string{"cmd", "crdt", "deploy", "events", "proxy"} {
		if err := os.CopyFS(filepath.Join(dir, entry), os.DirFS(filepath.Join("../..", entry))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// demoRun is deploy/run.sh in a copy of the sources, with ports of its own.
type demoRun struct {
	dir       string
	api, http int
	env       []string
}

func newDemoRun(t *testing.T) *demoRun {
	t.Helper()
	d := &demoRun{dir: checkout(t), api: freePort(t), http: freePort(t)}
	d.env = []string{
		fmt.Sprintf("PORT=%d", d.api), fmt.Sprintf("DEFAULT_PORTS=%d,%d:ssl", d.http, freePort(t)),
		fmt.Sprintf("DEMO_PORT=%d", freePort(t)), fmt.Sprintf("NATS_PORT=%d", freePort(t)),
	}
	// The build uses the caches of whoever runs the tests.
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS"} {
		if value, ok := os.LookupEnv(name); ok {
			d.env = append(d.env, name+"="+value)
		}
	}
	return d
}

func (d *demoRun) start(t *testing.T) *process {
	t.Helper()
	return startProcess(t, "run.sh", d.env, filepath.Join(d.dir, "deploy/run.sh"))
}

// commands waits until the script has printed its curl lines and returns them.
func (d *demoRun) commands(t *testing.T, p *process) []string {
	t.Helper()
	var lines []string
	eventually(t, 10*time.Minute, "three curl lines", func() error {
		if !p.running() {
			return fmt.Errorf("run.sh ended: %s", tail(p.output(), 10))
		}
		lines = nil
		for line := range strings.Lines(p.output()) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") {
				lines = append(lines, line)
			}
		}
		if len(lines) != 3 {
			return fmt.Errorf("%d lines", len(lines))
		}
		return nil
	})
	return lines
}

// shell runs a line as a person would paste it.
func shell(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", "-c", strings.Replace(line, "curl ", "curl -sS --fail ", 1)).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// TestRunScript: the README's first command and the lines that it prints, as printed.
func TestRunScript(t *testing.T) {
	d := newDemoRun(t)
	p := d.start(t)
	lines := d.commands(t, p)
	wants := []string{`"Status":"OK"`, "hello from go-demo", "go-demo"}
	for i, line := range lines {
		if out := shell(t, line); !strings.Contains(strings.ReplaceAll(out, `": "`, `":"`), wants[i]) {
			t.Errorf("%s answered %s, want %s in it", line, out, wants[i])
		}
	}
	children := append(p.descendants("sluice"), p.descendants("haproxy")...)
	children = append(children, p.descendants("demo")...)
	if len(children) < 3 {
		t.Fatalf("descendants: %v", children)
	}

	t.Run("Ctrl-C stops everything", func(t *testing.T) {
		if code := p.stop(t, syscall.SIGINT); code != 0 {
			t.Errorf("exit code %d", code)
		}
		for _, pid := range children {
			if started(pid) != "" {
				t.Errorf("process %d still runs", pid)
			}
		}
	})
	t.Run("the next start has the same state", func(t *testing.T) {
		p := d.start(t)
		lines := d.commands(t, p)
		for i, line := range lines[1:] {
			if out := shell(t, line); !strings.Contains(out, wants[i+1]) {
				t.Errorf("%s answered %s", line, out)
			}
		}
		t.Run("a second one is refused", func(t *testing.T) {
			second := d.start(t)
			if code := second.exitCode(t, patience); code != 1 {
				t.Errorf("exit code %d", code)
			}
			says(t, second.output(), "another deploy/run.sh is running")
		})
		t.Run("a dead child ends it with the reason", func(t *testing.T) {
			for _, pid := range p.descendants("demo") {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			if code := p.exitCode(t, patience); code == 0 {
				t.Error("exit code 0")
			}
			says(t, p.output(), "demo ended", "demo.log")
		})
	})
}

func TestRunScriptNamesTheVariableOfABusyPort(t *testing.T) {
	d := newDemoRun(t)
	for _, variable := range []string{"PORT", "DEMO_PORT", "NATS_PORT", "DEFAULT_PORTS"} {
		t.Run(variable, func(t *testing.T) {
			busy := occupy(t)
			again := *d
			again.env = append(again.env[:len(again.env):len(again.env)], fmt.Sprintf("%s=%d", variable, busy))
			p := again.start(t)
			if code := p.exitCode(t, patience); code != 1 {
				t.Errorf("exit code %d", code)
			}
			says(t, p.output(), variable+"=", fmt.Sprint(busy))
		})
	}
	if a := get(t, fmt.Sprintf("http://%s/readyz", loopback(d.api))); a.Status == http.StatusOK {
		t.Error("something was started")
	}
}
