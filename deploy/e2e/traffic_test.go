package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// traffic is load through a proxy, about 1,000 requests a second: GET and POST on
// keep-alive connections, and GET on connections of their own. Nothing is ever repeated,
// and whatever is not answered as it should be counts as failed. A connection whose end
// was announced in an answer is replaced, which is no failure.
type traffic struct {
	addr    string
	paths   []string
	backend string // who has to answer

	sent, failed atomic.Int64
	began        time.Time

	mu    sync.Mutex
	first []string // failures

	stop func()
}

const (
	trafficPause     = 20 * time.Millisecond // of one worker
	trafficKeepAlive = 16                    // workers, every other one with POST
	trafficFresh     = 4                     // workers with a connection for each request
	shownFailures    = 20
)

// startTraffic asks addr for the paths, behind which backends with that name echo.
func startTraffic(t testing.TB, addr, backend string, paths ...string) *traffic {
	t.Helper()
	tr := &traffic{addr: addr, paths: paths, backend: backend, began: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range trafficKeepAlive + trafficFresh {
		wg.Go(func() { tr.work(ctx, i) })
	}
	tr.stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(tr.stop)
	return tr
}

// work is one worker's life. Requests under way are finished.
func (tr *traffic) work(ctx context.Context, worker int) {
	w := &wire{addr: tr.addr}
	defer w.close()
	pace := time.NewTicker(trafficPause)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		if err := tr.request(context.WithoutCancel(ctx), w, worker, n); err != nil {
			tr.fail(worker, err)
		}
		tr.sent.Add(1)
		if worker >= trafficKeepAlive {
			w.close()
		}
	}
}

// request makes a request that no other one equals and looks for it in the echo.
func (tr *traffic) request(ctx context.Context, w *wire, worker, n int) error {
	path := fmt.Sprintf("%s/x?n=%d-%d", tr.paths[(worker+n)%len(tr.paths)], worker, n)
	mark, body := fmt.Sprintf(`"URI":%q`, path), ""
	if worker < trafficKeepAlive && worker%2 == 1 {
		body = fmt.Sprintf("body of %d-%d", worker, n)
		mark = fmt.Sprintf(`"Body":%q`, body)
	}
	got, err := w.do(ctx, rawRequest(path, body))
	switch {
	case err != nil:
		return err
	case got.status != http.StatusOK || got.backend != tr.backend:
		return fmt.Errorf("%v", got)
	case !bytes.Contains(got.body, []byte(mark)):
		return fmt.Errorf("the answer is to another request: no %s in %.300s", mark, got.body)
	}
	return nil
}

func (tr *traffic) fail(worker int, err error) {
	tr.failed.Add(1)
	kind := "GET, keep-alive"
	switch {
	case worker >= trafficKeepAlive:
		kind = "GET, new connection"
	case worker%2 == 1:
		kind = "POST, keep-alive"
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.first) < shownFailures {
		tr.first = append(tr.first, fmt.Sprintf("after %v, %s: %v", time.Since(tr.began).Round(time.Millisecond), kind, err))
	}
}

// finish goes on until at least n requests were sent, then stops. It fails the test if a
// request failed.
func (tr *traffic) finish(t testing.TB, n int) {
	t.Helper()
	eventually(t, 2*time.Minute, fmt.Sprintf("%d requests", n), func() error {
		if sent := tr.sent.Load(); sent < int64(n) {
			return fmt.Errorf("only %d", sent)
		}
		return nil
	})
	tr.stop()
	if tr.failed.Load() > 0 {
		t.Errorf("%v:\n%s", tr, strings.Join(tr.failures(), "\n"))
	}
}

func (tr *traffic) failures() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.first
}

func (tr *traffic) String() string {
	return fmt.Sprintf("%d of %d requests failed", tr.failed.Load(), tr.sent.Load())
}
