package sim_test

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("sim.seed", 0, "run this seed only")
	seedsFlag = flag.Int("sim.seeds", unlessSlow(2000, 500), "number of seeds over all scenarios")
	depthFlag = flag.Int("sim.depth", unlessSlow(5, 4), "depth of the exhaustive search")
	traceFlag = flag.Bool("sim.trace", false, "print what happens")
)

func unlessSlow(usual, reduced int) int {
	if slow {
		return reduced
	}
	return usual
}

// realEvery seed uses the real form of events, the others number them.
const realEvery = 25

func TestMain(m *testing.M) {
	debug.SetGCPercent(1600) // worlds are small and short-lived
	os.Exit(m.Run())
}

func settingsOf(seed uint64) settings { return settings{real: seed%realEvery == 0} }

func TestScenario(t *testing.T) {
	all := scenarios()
	seeds := max(*seedsFlag/len(all), 1)
	var sum excused
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			if *seedFlag != 0 {
				s.replay(t, *seedFlag)
				return
			}
			sum.join(s.runMany(t, seeds).excused)
		})
	}
	sum.check(t)
}

// A seed is worth something only if it always means the same.
func TestSeedMeansOneRun(t *testing.T) {
	s := named(t, "everything")
	for seed := uint64(1); seed <= 10; seed++ {
		var traces [2]strings.Builder
		for i := range traces {
			with := settingsOf(seed)
			with.out = &traces[i]
			if _, err := s.run(seed, with); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := traces[0].String(), traces[1].String(); a != b || len(a) < 1000 {
			t.Errorf("seed %d: two traces of %d and %d bytes differ", seed, len(a), len(b))
		}
	}
}

// replay runs one seed, with a trace if asked for.
func (s scenario) replay(t *testing.T, seed uint64) {
	with := settingsOf(seed)
	if *traceFlag {
		with.out = os.Stdout
	}
	if _, err := s.run(seed, with); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
}

func (s scenario) runMany(t *testing.T, seeds int) (sum tally) {
	began := cpu()
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		w, err := s.run(seed, settingsOf(seed))
		if err != nil {
			sum.failed++
			if sum.failed > s.fails*seeds/8000 {
				t.Errorf("seed %d: %v\n%s", seed, err, s.command(seed))
			} else {
				t.Logf("beyond the promise: seed %d: %v", seed, err)
			}
			if sum.failed > 5 {
				break
			}
			continue
		}
		sum.add(w)
	}
	t.Logf("%.0f runs, %.0f per second of one core, %d failed, %.1f %% of %.0f cells excused, %d live entries dropped as too old (%d out of states), operator %d",
		sum.runs, sum.runs/(cpu()-began).Seconds(), sum.failed, sum.share(), sum.cells, sum.dropped, sum.outOfState, sum.operator)
	sum.check(t)
	return sum
}

// cpu is the time that this process has had a core: others may use the machine too.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// command replays a seed.
func (s scenario) command(seed uint64) string {
	name := strings.NewReplacer(" ", "_", "+", `\+`).Replace(s.name)
	return fmt.Sprintf("go test ./events/sim -run 'TestScenario/^%s$' -sim.seed=%d -sim.trace", name, seed)
}

// tally adds up runs.
type tally struct {
	failed, dropped, outOfState, operator int
	excused
}

func (t *tally) add(w *world) {
	t.excused.add(w.oracle.cells, w.oracle.excused, excusedUsually()[w.name])
	t.dropped += w.oracle.dropped
	t.outOfState += w.oracle.outOfState
	t.operator += w.operator
}
