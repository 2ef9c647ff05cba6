package haproxy_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/proxy"
)

const (
	// healing is how long HAProxy may take to be as desired again, whatever was done to it.
	healing = 5 * time.Second
	// looks is the same as a multiple of how long HAProxy takes now for a look at its files: a
	// tenth of a second on a machine that has nothing else to do, seconds where others keep it busy.
	looks = 30
)

// TestKiller does harm to HAProxy at random moments while services change, and expects each
// time that all is as desired again soon. SLUICE_TEST_SEED repeats a run.
func TestKiller(t *testing.T) {
	random := seeded(t)
	r := newRig(t, raw, told)
	ports := []string{echo(t, "a"), echo(t, "b")}
	r.reconfigure("serviceName=always&servicePath=/always&outboundHostname=127.0.0.1&port=" + ports[0])
	harms := []struct {
		name string
		do   func(*rig)
	}{
		{"the master is killed", func(r *rig) { r.signal(r.masters(), syscall.SIGKILL) }},
		{"a worker is killed", func(r *rig) { r.signal(r.workers(), syscall.SIGKILL) }},
		{"the master is asked to end", func(r *rig) { r.signal(r.masters(), syscall.SIGTERM) }},
		{"the workers' socket is removed", func(r *rig) { os.Remove(proxy.SocketPath(&r.options)) }},
		{"the master's socket is removed", func(r *rig) { os.Remove(proxy.MasterSocketPath(&r.options)) }},
		{"somebody else reloads", func(r *rig) { r.signal(r.masters(), syscall.SIGUSR2) }},
	}
	for round := range 2 * len(harms) {
		harm := harms[(round+random.IntN(2))%len(harms)]
		moment := random.IntN(10)
		var last uint64
		for i := range 10 {
			if i == moment {
				t.Logf("round %d, before change %d: %s", round, i, harm.name)
				harm.do(r)
			}
			last = r.publish(fmt.Sprintf("serviceName=s%d&outboundHostname=127.0.0.1&port=%s", random.IntN(8), ports[random.IntN(2)]) + randomQuery(random))
			if random.IntN(3) == 0 {
				last = r.randomOverlay(random, ports)
			}
			time.Sleep(time.Duration(random.IntN(15)) * time.Millisecond) // the harm falls between changes, or into one
		}
		began := time.Now()
		for why := r.undesired(last); why != ""; why = r.undesired(last) {
			if took := time.Since(began); took > healing && took > looks*r.look() {
				t.Fatalf("round %d, %s: not as desired after %s: %s; report %+v", round, harm.name, took, why, r.controller.Report())
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// look is how long HAProxy takes for a look at its files.
func (r *rig) look() time.Duration {
	began := time.Now()
	cmd := exec.Command(r.config.Binary.Path, "-c", "-f", r.config.ConfigFile, "-f", r.config.PoolFile)
	cmd.Dir = r.options.CfgDir
	_ = cmd.Run() // whatever it thinks of them, they may be about to change
	return time.Since(began)
}

// undesired is empty if the position is live, traffic flows, and HAProxy holds what the files
// say; else it tells what is not so.
func (r *rig) undesired(seq uint64) string {
	r.Helper()
	if report := r.controller.Report(); report.Seq < seq || !report.Ready {
		return fmt.Sprintf("position %d is not live", seq)
	}
	if _, err := os.Stat(proxy.SocketPath(&r.options)); err != nil {
		return err.Error()
	}
	if a, err := r.try(call{path: "/always"}); err != nil || a.seen.Backend != "a" {
		return fmt.Sprintf("/always: %v, %+v", err, a)
	}
	return r.difference()
}

// seeded is a source of randomness whose seed is told if the test fails.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SLUICE_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (repeat with SLUICE_TEST_SEED=%d)", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// masters and workers are this rig's HAProxy processes.
func (r *rig) masters() []int {
	return r.processes(func(parent int) bool { return parent == os.Getpid() })
}
func (r *rig) workers() []int {
	return r.processes(func(parent int) bool { return parent != os.Getpid() })
}

func (r *rig) processes(wanted func(parent int) bool) []int {
	r.Helper()
	out, err := exec.Command("pgrep", "-f", "haproxy .*"+r.options.CfgDir+"/haproxy.cfg").Output()
	if err != nil {
		return nil // none runs
	}
	var pids []int
	for _, text := range strings.Fields(string(out)) {
		stat, err := os.ReadFile("/proc/" + text + "/stat")
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		f := strings.Fields(rest)
		parent, err := strconv.Atoi(f[1])
		if pid, pidErr := strconv.Atoi(text); err == nil && pidErr == nil && wanted(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (r *rig) signal(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s) // it may have ended
	}
}
