package main

import (
	"context"
	"encoding/json"
	"errors"
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
	// remembered is how long some workers believe the DNS without asking again.
	remembered = 2 * time.Second
	shown      = 20 // failures
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

// kind is how a worker behaves.
type kind struct {
	// keep: one connection for as long as the proxy keeps it; else one for each request.
	keep bool
	names
}

// run asks target until ctx ends, about 200 times a second. Half of the workers keep their
// connection, half of either remember the addresses for a moment. What became of the requests so far
// is told every second, and at the end.
func run(ctx context.Context, target, want string, out io.Writer) error {
	l := &load{target: target, want: want, began: time.Now()}
	var wg sync.WaitGroup
	for i := range workers {
		k := kind{keep: i%2 == 0}
		if i%4 >= 2 {
			k.remember = remembered
		}
		wg.Go(func() { l.work(ctx, k) })
	}
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	return errors.Join(l.tellUntil(ended, out), l.tell(out))
}

// tellUntil tells every second how far it is.
func (l *load) tellUntil(ended <-chan struct{}, out io.Writer) (err error) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-ended:
			return err
		case <-every.C:
			err = l.tell(out)
		}
	}
}

func (l *load) tell(out io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.NewEncoder(out).Encode(l.result)
}

// work is one worker's life. The request under way is finished.
func (l *load) work(ctx context.Context, k kind) {
	c := client(k.names)
	c.Transport.(*http.Transport).DisableKeepAlives = !k.keep
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
		l.count(ask(context.WithoutCancel(ctx), c, http.MethodPost, l.target, timeout), k, began)
	}
}

func (l *load) count(a answer, k kind, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Sent++
	if a.Error == "" && a.Status == http.StatusOK && strings.Contains(a.Body, l.want) {
		return
	}
	l.result.Failed++
	if len(l.result.First) < shown {
		l.result.First = append(l.result.First, fmt.Sprintf("at %s, %v after the start, %+v, took %v: status %d, %.200q %s",
			began.UTC().Format("15:04:05.000"), began.Sub(l.began).Round(time.Millisecond), k, time.Since(began).Round(time.Millisecond), a.Status, a.Body, a.Error))
	}
}
