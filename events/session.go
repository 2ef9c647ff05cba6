package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// errAudit ends a session so that the next one reads again from the audited point.
var errAudit = errors.New("audit is due")

// session is one consumer of the log and what it lets the core do.
type session struct {
	r       *Replica
	info    LogInfo
	steps   *Session
	serving bool // the core serves what the session folds

	end     chan struct{} // closed once everything up to info.Last is folded
	counted chan struct{} // closed once the fold has a state
}

// follow runs one session after the other until ctx ends.
func (r *Replica) follow(ctx context.Context) error {
	for backoff := minBackoff; ; {
		err := r.runSession(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errAudit):
			backoff = minBackoff
			continue
		}
		if r.interrupted(err) {
			backoff = minBackoff
		}
		if errors.Is(err, ErrFoldVersion) { // goes on serving; only another log or program helps
			r.alien()
			backoff = r.cfg.AuditEvery
		}
		if err := pause(ctx, backoff); err != nil {
			return err
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// pause waits for d or for the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (r *Replica) runSession(ctx context.Context) error {
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.cfg.Log.Follow(ctx, s.steps.From(), s.handle) })
	g.Go(func() error { return s.seed(ctx) })
	g.Go(func() error { return s.lifetime(ctx) })
	g.Go(func() error { return s.watch(ctx) })
	return g.Wait()
}

// lifetime ends the session when an audit is due or asked for. One that is interrupted
// before its end, or that has no genesis yet, has nothing to audit.
func (s *session) lifetime(ctx context.Context) error {
	for _, reached := range []chan struct{}{s.end, s.counted} {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-reached:
		}
	}
	t := time.NewTimer(s.r.cfg.AuditEvery)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	case <-s.r.audit:
	}
	return errAudit
}

// connect opens the log and decides what the session builds on.
func (r *Replica) connect(ctx context.Context) (*session, error) {
	info, err := r.cfg.Log.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	r.mu.Lock()
	r.info = info
	serving := r.core.State()
	r.mu.Unlock()
	s := &session{r: r, info: info, end: make(chan struct{}), counted: make(chan struct{})}
	m, err := r.anchorOf(ctx, info, serving)
	if err != nil {
		return nil, err
	}
	if s.begin(m) {
		return s, nil
	}
	base, err := r.base(ctx, info)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rebuilding()
	r.unfoldable = nil
	var p Progress
	s.steps, p = r.core.Rebuild(info, base)
	s.progressed(p)
	return s, nil
}

// begin goes on from the serving state if that continues in the log; m is the message at its
// position.
func (s *session) begin(m *Message) bool {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.serving = s.r.core.Continues(s.info, m); !s.serving {
		return false
	}
	s.r.unfoldable = nil
	var p Progress
	s.steps, p = s.r.core.Continue(s.info)
	s.progressed(p)
	return true
}

func (s *session) handle(m Message) error {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	auditing := s.steps.Auditing()
	p, err := s.steps.Handle(m)
	if err != nil {
		return err
	}
	if !auditing {
		s.observe(m, p.Effects)
	}
	s.progressed(p)
	return nil
}

// auditing: what comes was folded before.
func (s *session) auditing() bool {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	return s.steps.Auditing()
}
