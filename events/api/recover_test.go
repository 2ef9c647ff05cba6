package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

// recovery remembers what was asked of it.
type recovery struct {
	err   error
	asked []string
}

func (r *recovery) NewLog(context.Context) error {
	r.asked = append(r.asked, "new-log")
	return r.err
}

func (r *recovery) BeginLog(context.Context) error {
	r.asked = append(r.asked, "begin-log")
	return r.err
}

func TestRecover(t *testing.T) {
	for _, c := range []struct {
		path   string
		err    error
		status int
		asked  int
	}{
		{"new-log", nil, 200, 1},
		{"begin-log", nil, 200, 1},
		{"new-log", fmt.Errorf("%w: all is well", events.ErrNothingToRecover), 409, 1},
		{"begin-log", fmt.Errorf("publish: %w", events.ErrUnavailable), 503, 1},
		{"everything", nil, 404, 0},
	} {
		back := &recovery{err: c.err}
		cfg := config(apitest.New())
		cfg.Recovery = back
		base, _ := run(t, cfg)
		client, err := api.NewClient(api.ClientConfig{Base: base})
		if err != nil {
			t.Fatal(err)
		}
		done, err := client.Recover(t.Context(), api.RecoverAction(c.path))
		var p *api.Problem
		status := http.StatusOK
		if errors.As(err, &p) {
			status = p.Status
		} else if err != nil {
			t.Fatal(err)
		}
		if status != c.status || len(back.asked) != c.asked || (status == 200) != (done.Done != "") {
			t.Errorf("%s with %v: %d, %q, asked %v", c.path, c.err, status, done.Done, back.asked)
		}
	}
}

// Only who may change things may recover, and nothing happens by looking.
func TestRecoverNeedsRights(t *testing.T) {
	back := &recovery{}
	cfg := config(apitest.New())
	cfg.Recovery = back
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]int{"POST /v1/recover/new-log": 403, "GET /v1/recover/new-log": 405} {
		if got := send(s.Handler(), remote, request, nil); got.Code != want {
			t.Errorf("%s from afar, without a token: %d, want %d", request, got.Code, want)
		}
	}
	if len(back.asked) > 0 {
		t.Errorf("asked: %v", back.asked)
	}
}
