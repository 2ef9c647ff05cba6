package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a running program with its output in a file. It and everything it started
// are gone when the test ends.
type process struct {
	t     testing.TB
	name  string
	log   string
	cmd   *exec.Cmd
	ended chan struct{}
	// family are the descendants seen so far, which may outlive the process.
	family map[int]string
}

// startProcess runs path with no other environment than PATH, HOME and env.
func startProcess(t testing.TB, name string, env []string, path string, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{t: t, name: name, log: log.Name(), ended: make(chan struct{}), family: map[int]string{}}
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin", "HOME=" + os.Getenv("HOME")}, env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is read from ProcessState
		close(p.ended)
	}()
	t.Cleanup(p.cleanUp)
	return p
}

func (p *process) cleanUp() {
	p.meetFamily()
	if p.running() {
		p.kill()
	}
	p.killFamily()
	if bug := bugIn(p.output()); bug != "" {
		p.t.Errorf("%s: %s", p.name, bug)
	}
	if p.t.Failed() {
		p.t.Logf("--- log of %s (end):\n%s", p.name, tail(p.output(), 60))
	}
}

// bugIn finds what no program may ever print: the Go runtime's complaints.
func bugIn(output string) string {
	for _, mark := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
		if _, rest, found := strings.Cut(output, mark); found {
			return mark + rest[:min(len(rest), 4000)]
		}
	}
	return ""
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill is kill -9; descendants are left alone.
func (p *process) kill() {
	p.meetFamily()
	_ = p.cmd.Process.Kill() // an error means that it is gone
	<-p.ended
}

// stop sends a signal and returns the exit code.
func (p *process) stop(t testing.TB, sig os.Signal) int {
	t.Helper()
	p.meetFamily()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("stop %s: %v", p.name, err)
	}
	return p.exitCode(t, 2*patience)
}

// exitCode waits for the end of the process.
func (p *process) exitCode(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("%s did not end within %v", p.name, within)
		return -1
	}
}

func (p *process) output() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// meetFamily remembers the descendants of the process.
func (p *process) meetFamily() {
	parents := map[int]int{}
	for _, pid := range pids() {
		parents[pid] = parentOf(pid)
	}
	for pid := range parents {
		for up := parents[pid]; up > 1; up = parents[up] {
			if up == p.cmd.Process.Pid {
				p.family[pid] = started(pid)
				break
			}
		}
	}
}

// killFamily returns when they are gone: until then they may hold ports and write files.
func (p *process) killFamily() {
	for pid, since := range p.family {
		if started(pid) == since {
			_ = syscall.Kill(pid, syscall.SIGKILL) // an error means that it is gone
		}
	}
	err := await(context.Background(), patience, func() error {
		for pid, since := range p.family {
			if since != "" && started(pid) == since {
				return fmt.Errorf("process %d is there", pid)
			}
		}
		return nil
	})
	if err != nil {
		p.t.Errorf("descendants of %s: %v", p.name, err)
	}
}

// descendants returns the process ids of living descendants whose command is name.
func (p *process) descendants(name string) []int {
	p.meetFamily()
	var found []int
	for pid, since := range p.family {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil && strings.TrimSpace(string(comm)) == name && started(pid) == since {
			found = append(found, pid)
		}
	}
	return found
}

func pids() []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is correct
	var found []int
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// stat returns the fields of /proc/pid/stat from the state on (field 3 of proc(5)).
func stat(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
}

func parentOf(pid int) int {
	fields := stat(pid)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1]) // a number by definition
	return parent
}

// started tells a process from a later one with the same id; "" if there is none.
func started(pid int) string {
	fields := stat(pid)
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

func tail(text string, n int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
