package sim_test

import (
	"math"
	"testing"
)

// excusedUsually is the share of final cells, in per cent, that needed an excuse in the long
// run that README.md tells of.
func excusedUsually() map[string]float64 {
	return map[string]float64{
		"plain": 3.1, "ties": 1.6, "raw": 2.5, "trim": 3.2, "clock+24h": 3.4, "clock-24h": 4.0, "clock+7s": 3.1,
		"clock+16s": 3.0, "never": 0.3, "tail": 3.5, "tail+trim+raw": 2.8, "tail40": 2.9, "lives": 3.1,
		"recreate": 3.5, "recreate+raw+trim": 2.6, "cold": 6.3, "cold+recreate": 5.8, "everything": 5.1,
		"everything without pauses": 1.8, "calm": 9.1, "calm+trim": 9.1, "calm+tail+trim": 9.9, "calm+recreate": 9.9,
		"calm+cold": 11.2, "calm+stale": 13.3, "leader": 7.2, "leader+recreate": 11.4, "split": 0.4,
		"calm+split": 0.5, "long split": 4.1, "calm+long split": 14.1,
	}
}

// deviations above what is usual are no chance any more.
const deviations = 3.5

// add adds a run in which so many of the cells needed an excuse.
func (e *excused) add(cells, excused int, usual float64) {
	e.cells += float64(cells)
	e.sum += float64(excused)
	e.squares += float64(excused * excused)
	e.usual += float64(cells) * usual / 100
	e.runs++
}

// excused adds up the cells of runs. Those of one run are not independent of each other, runs are.
type excused struct{ runs, cells, sum, squares, usual float64 }

// join adds the runs of another scenario.
func (e *excused) join(o excused) {
	e.runs, e.cells, e.sum, e.squares, e.usual = e.runs+o.runs, e.cells+o.cells, e.sum+o.sum, e.squares+o.squares, e.usual+o.usual
}

// share is that of the cells that needed an excuse, in per cent.
func (e excused) share() float64 { return 100 * e.sum / max(e.cells, 1) }

// most is the greatest share that may still be chance.
func (e excused) most() float64 {
	variance := max(e.squares-e.sum*e.sum/max(e.runs, 1), e.usual)
	return 100 * (e.usual + deviations*math.Sqrt(variance)) / max(e.cells, 1)
}

func (e excused) check(t *testing.T) {
	t.Helper()
	if e.share() > e.most() {
		t.Errorf("%.1f %% of the final cells needed an excuse, %.1f %% are usual and %.1f %% at most is chance",
			e.share(), 100*e.usual/e.cells, e.most())
	}
}

// TestExcusedMost: in a long run, half as much again as is usual is no chance.
func TestExcusedMost(t *testing.T) {
	for _, s := range scenarios() {
		usual, known := excusedUsually()[s.name]
		if !known {
			t.Errorf("%s: the usual share is not known", s.name)
		}
		var e excused
		for i := range 3225 {
			cell := 0
			if float64(i%1000) < 1000*float64(s.keys)*(1.5*usual+0.5)/100 {
				cell = 1
			}
			e.add(s.keys, cell, usual)
		}
		if e.share() <= e.most() {
			t.Errorf("%s: %.1f %% are not noticed, %.1f %% are usual", s.name, e.share(), usual)
		}
	}
}
