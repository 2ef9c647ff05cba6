package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	workers = 8
	pause   = 40 * time.Millisecond // of one worker
	shown   = 20                    // failures
)

// result is what run prints.
type result struct {
	Sent, Failed int
	// First are the first failures.
	First []string
}

// load is the load under way.
type load struct {
	target, want string
	began        time.Time

	mu     sync.Mutex
	result result
}

// run asks target until ctx ends, about 200 times a second. Half of the workers keep their
// connection for as long as the proxy does, half have one for each request.
func run(ctx context.Context, target, want string, out io.Writer) error {
	l := &load{target: target, want: want, began: time.Now()}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { l.work(ctx, i%2 == 0) })
	}
	wg.Wait()
	return json.NewEncoder(out).Encode(l.result)
}

// work is one worker's life. The request under way is finished.
func (l *load) work(ctx context.Context, keep bool) {
	c := client(anyAddress)
	c.Transport.(*http.Transport).DisableKeepAlives = !keep
	defer c.CloseIdleConnections()
	pace := time.NewTicker(pause)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		began := time.Now()
		// A GET would be repeated by Go itself where a kept connection fails.
		l.count(ask(context.WithoutCancel(ctx), c, http.MethodPost, l.target), keep, began)
	}
}

func (l *load) count(a answer, keep bool, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Sent++
	if a.Error == "" && a.Status == http.StatusOK && strings.Contains(a.Body, l.want) {
		return
	}
	l.result.Failed++
	if len(l.result.First) < shown {
		l.result.First = append(l.result.First, fmt.Sprintf("at %s, %v after the start, keep-alive %v, took %v: status %d, %.200q %s",
			began.UTC().Format("15:04:05.000"), began.Sub(l.began).Round(time.Millisecond), keep, time.Since(began).Round(time.Millisecond), a.Status, a.Body, a.Error))
	}
}
