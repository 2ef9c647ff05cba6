package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// changeLimit bounds one change, changeBudget all of one kind: a slow program is
	// measured with fewer.
	changeLimit  = 60 * time.Second
	changeBudget = 45 * time.Second
)

// kind is a kind of change of one plain service, and the requests that show it.
type kind struct {
	name string
	// change is the call of Docker Flow Proxy's API, path what is asked for through the
	// proxy.
	change func(w *changeWorld, i int) (endpoint string, q url.Values)
	path   func(i int) string
	// shown reports whether an answer is one of the new state.
	shown func(reply) bool
}

// changeWorld is a replica and two upstreams.
type changeWorld struct {
	*replica
	ports []int // of upstreams "one" and "two"
	api   *http.Client
	probe wire
}

func kinds() []kind {
	name := func(i int) string { return fmt.Sprintf("c%05d", i) }
	old := func(i int) string { return "/" + name(i) }
	moved := func(i int) string { return fmt.Sprintf("/moved%05d", i) }
	from := func(backend string) func(reply) bool {
		return func(r reply) bool { return r.status == http.StatusOK && r.backend == backend }
	}
	return []kind{
		{"add", func(w *changeWorld, i int) (string, url.Values) {
			return "reconfigure", demo(name(i), w.ports[0])
		}, old, from("one")},
		{"change path", func(w *changeWorld, i int) (string, url.Values) {
			return "reconfigure", demo(name(i), w.ports[0], "servicePath", moved(i))
		}, moved, from("one")},
		{"change port", func(w *changeWorld, i int) (string, url.Values) {
			return "reconfigure", demo(name(i), w.ports[1], "servicePath", moved(i))
		}, moved, from("two")},
		{"remove", func(_ *changeWorld, i int) (string, url.Values) {
			return "remove", url.Values{"serviceName": {name(i)}}
		}, moved, func(r reply) bool { return r.status == http.StatusServiceUnavailable }},
	}
}

// BenchmarkChange: from before the API is called, as a user does who waits for the answer,
// to the first answer of the proxy that shows the new state. The proxy is asked all the
// while, one request after the other on one keep-alive connection.
func BenchmarkChange(b *testing.B) {
	for _, routes := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("routes-%d", routes), func(b *testing.B) {
			w := &changeWorld{replica: startReplica(b, "local"), ports: startUpstream(b, "one", "two"), api: keepAliveClient(b, 1)}
			w.probe.addr = loopback(w.http)
			defer w.probe.close()
			fill(b, w.replica, routes, w.ports[0])
			for b.Loop() {
				n := changeCount()
				for _, k := range kinds() {
					took := w.measure(b, k, n)
					n = len(took) // later kinds change what was added
					took.record(b, fmt.Sprintf("%s, %d routes", k.name, routes), k.name)
				}
			}
		})
	}
}

// changeCount is how many changes of each kind are made, SLUICE_BENCH_CHANGES or 100.
func changeCount() int {
	if n, err := strconv.Atoi(os.Getenv("SLUICE_BENCH_CHANGES")); err == nil && n > 0 {
		return n
	}
	return 100
}

// record adds the sample to the table.
func (s spread) record(b *testing.B, name, unit string) {
	b.Helper()
	p50, p99 := s.at(0.5), s.at(0.99)
	figures.add(figure{
		name: "change to first routed request, " + name, value: fmt.Sprintf("p50 %.1f ms, p99 %.1f ms of %d", p50, p99, len(s)),
		target: "p50 < 10, p99 < 50 ms", met: p50 < 10 && p99 < 50,
	})
	unit = strings.ReplaceAll(unit, " ", "-")
	b.ReportMetric(p50, unit+"-p50-ms")
	b.ReportMetric(p99, unit+"-p99-ms")
}

// measure makes up to n changes of a kind, one after the other.
func (w *changeWorld) measure(b *testing.B, k kind, n int) spread {
	b.Helper()
	var took spread
	for i, since := 0, time.Now(); i < n && time.Since(since) < changeBudget; i++ {
		d, err := w.once(b.Context(), k, i)
		if err != nil {
			b.Fatalf("%s %d: %v", k.name, i, err)
		}
		took = append(took, d)
		time.Sleep(5*time.Millisecond + rand.N(15*time.Millisecond)) // the pace of the changes
	}
	return took
}

// once makes one change and returns when it was first seen. What the API has answered to
// be live must be seen by a new connection as well.
func (w *changeWorld) once(ctx context.Context, k kind, i int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	request := rawRequest(k.path(i), "")
	if got, err := w.probe.do(ctx, request); err != nil || k.shown(got) {
		return 0, fmt.Errorf("before the change: %v, error %v", got, err)
	}
	endpoint, q := k.change(w, i)
	q.Set("timeout", changeLimit.String()) // too late is a figure, not an error
	answered := make(chan error, 1)
	since := time.Now()
	go func() { answered <- call(ctx, w.api, w.url("/v1/docker-flow-proxy/"+endpoint+"?"+q.Encode())) }()
	err := w.untilShown(ctx, k, request)
	took := time.Since(since)
	if err = errors.Join(err, <-answered); err != nil {
		return 0, err
	}
	fresh := wire{addr: w.probe.addr}
	defer fresh.close()
	if got, err := fresh.do(ctx, request); err != nil || !k.shown(got) {
		return 0, fmt.Errorf("answered to be live, but a new connection gets %v, error %v", got, err)
	}
	return took, nil
}

func (w *changeWorld) untilShown(ctx context.Context, k kind, request []byte) error {
	for ctx.Err() == nil {
		got, err := w.probe.do(ctx, request)
		if err != nil {
			return err
		}
		if k.shown(got) {
			return nil
		}
	}
	return fmt.Errorf("the change is not seen: %w", ctx.Err())
}

// keepAliveClient keeps as many connections to the API.
func keepAliveClient(t testing.TB, connections int) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: changeLimit}
}

// call is nil if the answer is 200.
func call(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.300s", res.StatusCode, body)
	}
	return err
}
