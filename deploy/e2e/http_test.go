package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answer is a whole HTTP answer; Err is set when there was none.
type answer struct {
	Status int
	Header http.Header
	Body   string
	Err    error
}

func (a answer) String() string {
	if a.Err != nil {
		return a.Err.Error()
	}
	return fmt.Sprintf("%d %.600s", a.Status, a.Body)
}

// client follows no redirects and opens a connection per request: what is measured is
// the listener's state now.
func client() *http.Client {
	return &http.Client{
		Timeout:       2 * patience,
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send makes a request; headers are "Name: value", Host included.
func send(ctx context.Context, method, url, body string, headers ...string) answer {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{Err: err}
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	res, err := client().Do(req)
	if err != nil {
		return answer{Err: err}
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{Status: res.StatusCode, Header: res.Header, Body: string(data), Err: err}
}

func get(t testing.TB, url string, headers ...string) answer {
	t.Helper()
	return send(t.Context(), http.MethodGet, url, "", headers...)
}

// decode reads the body of a 200 answer.
func decode[T any](t testing.TB, a answer) T {
	t.Helper()
	var v T
	if a.Err != nil || a.Status != http.StatusOK {
		t.Fatalf("want 200 and JSON, got %v", a)
	}
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Fatalf("decode %v: %v", a, err)
	}
	return v
}

// patience is how long a test waits for what takes a moment on a quiet machine: where others work
// as well, it may take long.
const patience = time.Minute

// eventually repeats check until it returns nil.
func eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	if err := await(t.Context(), within, check); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// await repeats check until it returns nil; else it tells what kept it from that.
func await(ctx context.Context, within time.Duration, check func() error) error {
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", within, err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// expectStatus is an error unless the answer has that status.
func expectStatus(a answer, want int) error {
	if a.Err != nil || a.Status != want {
		return fmt.Errorf("want %d, got %v", want, a)
	}
	return nil
}

func mustStatus(t testing.TB, a answer, want int) answer {
	t.Helper()
	if err := expectStatus(a, want); err != nil {
		t.Fatal(err)
	}
	return a
}
