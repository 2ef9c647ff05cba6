package e2e_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tick is the unit of CPU time in /proc/pid/stat (USER_HZ, 100 on every Linux).
const tick = 10 * time.Millisecond

// cpuTime is what the processes have used so far, in user and kernel mode.
func cpuTime(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		fields := stat(pid)
		if len(fields) < 13 {
			return 0, fmt.Errorf("process %d has ended", pid)
		}
		for _, f := range fields[11:13] { // utime, stime
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// resident is the sum of VmRSS of the processes, in MB of 10^6 bytes.
func resident(pids ...int) (float64, error) {
	var kB int
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(data), "VmRSS:")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0, fmt.Errorf("process %d has no VmRSS", pid)
		}
		n, err := strconv.Atoi(fields[0])
		if err != nil {
			return 0, fmt.Errorf("VmRSS of process %d: %w", pid, err)
		}
		kB += n
	}
	return float64(kB) * 1024 / 1e6, nil
}

// haproxies waits until p is or runs one HAProxy, a master with one worker, and returns
// both. Workers of earlier loads take a moment to end.
func haproxies(t testing.TB, p *process) []int {
	t.Helper()
	var found []int
	eventually(t, 30*time.Second, p.name+" has one HAProxy worker", func() error {
		found = p.descendants("haproxy")
		if filepath.Base(p.cmd.Path) == "haproxy" {
			found = append(found, p.cmd.Process.Pid)
		}
		if len(found) != 2 {
			return fmt.Errorf("HAProxy processes: %v", found)
		}
		return nil
	})
	slices.Sort(found)
	return found
}

// memory is the resident memory of a replica, Sluice itself and HAProxy, in MB.
func memory(t testing.TB, r *replica) (sluice, haproxy float64) {
	t.Helper()
	haproxy = settled(t, r.process)
	sluice, err := resident(r.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return sluice, haproxy
}

// settled waits until the memory of p's HAProxy stays the same for a second: for a moment after a
// start its master has all that the worker has, and a load changes the worker.
func settled(t testing.TB, p *process) (now float64) {
	t.Helper()
	before, since := 0.0, time.Now()
	eventually(t, 30*time.Second, "memory has settled", func() (err error) {
		if now, err = resident(haproxies(t, p)...); err != nil {
			return err
		}
		if math.Abs(now-before) > 1 {
			before, since = now, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Errorf("%.0f MB", now)
		}
		return nil
	})
	return now
}
