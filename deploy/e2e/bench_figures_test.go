package e2e_test

import (
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// figures are what the benchmarks of this run found; TestMain prints them at its end.
var figures table

// table is safe for concurrent use.
type table struct {
	mu   sync.Mutex
	rows []figure
}

// figure is one measured value. An empty target makes it a remark.
type figure struct {
	name, value, target string
	met                 bool
}

func (t *table) add(f figure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, f)
}

// remark is a figure without a target.
func (t *table) remark(name, format string, args ...any) {
	t.add(figure{name: name, value: fmt.Sprintf(format, args...)})
}

func (f figure) verdict() string {
	switch {
	case f.target == "":
		return ""
	case f.met:
		return "met"
	}
	return "NOT MET"
}

// print writes nothing if nothing was measured.
func (t *table) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "FIGURE\tVALUE\tTARGET\t")
	for _, f := range t.rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", f.name, f.value, f.target, f.verdict())
	}
	tw.Flush()
	fmt.Fprintln(w)
}

// spread is a sample of durations.
type spread []time.Duration

// at returns the q-quantile (nearest rank) in milliseconds; of nothing it is 0.
func (s spread) at(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return float64(sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]) / float64(time.Millisecond)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
