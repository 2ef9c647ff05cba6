package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

const (
	disturbances = 100
	leastTraffic = 10_000
	// disturbLimit is after how much time a slow program is measured with fewer changes.
	disturbLimit = 3 * time.Minute
)

// BenchmarkRuntimeChangesUnderTraffic: no request may fail.
func BenchmarkRuntimeChangesUnderTraffic(b *testing.B) {
	underTraffic(b, "runtime changes", 100*time.Millisecond, (*underLoad).changeAtRuntime)
}

// BenchmarkLoadsUnderTraffic: no request may fail.
func BenchmarkLoadsUnderTraffic(b *testing.B) {
	underTraffic(b, "loads", 500*time.Millisecond, (*underLoad).load)
}

func underTraffic(b *testing.B, what string, pause time.Duration, disturb func(*underLoad, testing.TB, int)) {
	b.Helper()
	for b.Loop() {
		u := startUnderLoad(b)
		n := changes(b, disturbances, pause, disturbLimit, func(t testing.TB, i int) { disturb(u, t, i) })
		u.traffic.finish(b, leastTraffic)
		loads := u.generation(b) - u.loads
		sent, failed := u.traffic.sent.Load(), u.traffic.failed.Load()
		b.ReportMetric(float64(failed), "failed")
		b.ReportMetric(float64(sent), "requests")
		b.ReportMetric(float64(loads), "loads")
		figures.add(figure{
			name: "failed requests during 100 " + what, value: fmt.Sprintf("%d of %d (%d done, HAProxy loaded %d times)", failed, sent, n, loads),
			target: "0", met: failed == 0 && n == disturbances,
		})
	}
}

// BenchmarkWebSockets: all are alive after changes of other services.
func BenchmarkWebSockets(b *testing.B) {
	const n, others = 50, 10
	for b.Loop() {
		o := openWebSockets(b, n)
		done := changes(b, others, 20*time.Millisecond, disturbLimit, o.changeOthers)
		alive, err := o.alive("after changes")
		if err != nil {
			b.Errorf("after %d changes %d of %d WebSockets work: %v", done, alive, n, err)
		}
		b.ReportMetric(float64(alive), "alive")
		figures.add(figure{
			name: "WebSockets alive after 10 unrelated changes", value: fmt.Sprintf("%d of %d (%d done)", alive, n, done),
			target: "50 of 50", met: alive == n && done == others,
		})
		mustStatus(b, o.dfp("reload", url.Values{"recreate": {"true"}}), http.StatusOK)
		alive, _ = o.alive("after a load") // told, not judged
		figures.remark("WebSockets alive after one load more", "%d of %d", alive, n)
	}
}
