package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	// errAudit ends a session so that the next one reads again from the audited point.
	errAudit = errors.New("audit is due")
	// errLostBranch: the log no longer holds what was folded.
	errLostBranch = errors.New("the log has lost messages that were folded")
	errNoBase     = errors.New("the head of the log is gone and no snapshot fits it")
)

// session is one consumer of the log. It first proves that what was folded since the
// audited point is still there, then folds on (rules 15 to 17). While it rebuilds, its
// lineage stands beside the serving one and replaces it once the end is reached.
type session struct {
	r       *Replica
	info    LogInfo
	line    *lineage
	serving bool
	matched int // anchors of the trail that were found again
	check   int // anchors of the trail to find again

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
			r.setProblem("the log is of a newer version of this program: run that, this one does not fold it")
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
	g.Go(func() error { return r.cfg.Log.Follow(ctx, s.from(), s.handle) })
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
	s := &session{r: r, info: info, end: make(chan struct{}), counted: make(chan struct{})}
	r.mu.Lock()
	r.info = info
	line, lost := r.line, r.lost
	r.mu.Unlock()
	if s.serving, err = r.valid(ctx, info, line.state()); err != nil {
		return nil, err
	}
	if s.serving = s.serving && !lost; s.serving {
		s.line = line
	} else if s.line, err = r.base(ctx, info); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.serving {
		r.rebuilding()
	}
	s.check = len(s.line.trail)
	if s.line.state() != nil {
		close(s.counted)
	}
	s.atEnd()
	return s, nil
}

// valid reports whether state is a prefix of the log that info describes (rule 15).
func (r *Replica) valid(ctx context.Context, info LogInfo, state *State) (bool, error) {
	if state == nil {
		return false, nil
	}
	r.mu.Lock()
	id, anchor := state.StreamID, state.Anchor
	r.mu.Unlock()
	if id != info.StreamID || anchor.Seq < info.First || anchor.Seq > info.Last {
		return false, nil
	}
	m, err := r.cfg.Log.Get(ctx, anchor.Seq)
	switch {
	case errors.Is(err, ErrNoMessage):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read message %d: %w", anchor.Seq, err)
	}
	return m.Anchor() == anchor, nil
}

// base is what a rebuild starts from: a valid snapshot, else nothing if the log is whole
// (rule 17).
func (r *Replica) base(ctx context.Context, info LogInfo) (*lineage, error) {
	none, remedy := errNoBase, "delete the stream, the replicas then start a new one from their state"
	for _, store := range r.cfg.Snapshots {
		snap, err := r.load(ctx, store)
		if err != nil {
			if !errors.Is(err, ErrNoSnapshot) {
				none = fmt.Errorf("%w; load the snapshot from %s: %w", none, store.Name(), err)
				remedy = "make that snapshot readable"
			}
			continue
		}
		if ok, err := r.valid(ctx, info, snap.State); err != nil {
			return nil, err
		} else if ok {
			return r.resume(snap.State), nil
		}
	}
	if info.First <= 1 {
		return newLineage(NewFold(r.cfg.Subjects, info.StreamID)), nil
	}
	r.setProblem(none.Error() + ": " + remedy)
	return nil, none
}

func (r *Replica) resume(s *State) *lineage {
	return newLineage(ResumeFold(r.cfg.Subjects, s))
}

// from is the audited point, or the log's first message.
func (s *session) from() uint64 {
	if s.check > 0 {
		return s.line.trail[0].Seq
	}
	return max(s.info.First, 1)
}

func (s *session) handle(m Message) error {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.matched < s.check {
		return s.compare(m)
	}
	return s.step(m)
}

// compare is the audit: the consumer must deliver again what was folded.
func (s *session) compare(m Message) error {
	if m.Anchor() != s.line.trail[s.matched] {
		s.forget()
		return fmt.Errorf("%w: sequence %d", errLostBranch, s.line.trail[s.matched].Seq)
	}
	if s.matched++; s.matched == s.check {
		s.line.trail = append([]Anchor(nil), s.line.trail[s.check-1])
		s.audited()
		s.atEnd()
	}
	return nil
}

// forget makes the next session rebuild: the serving state goes on serving, but its
// anchor may by chance be in the log while what led to it is not.
func (s *session) forget() {
	if s.serving {
		s.r.lost = true
	}
}

func (s *session) step(m Message) error {
	had := s.line.state() != nil
	effects, err := s.line.fold.Step(m)
	if err != nil {
		return err // it names the message
	}
	s.line.trail = append(s.line.trail, m.Anchor())
	s.observe(m, effects)
	if !had && s.line.state() != nil {
		close(s.counted)
	}
	if s.serving {
		s.r.applied(effects)
	}
	s.atEnd()
	return nil
}

// atEnd swaps a rebuilt state in and declares the replica fresh as soon as everything
// that the log held when the session began is folded. The caller holds mu.
func (s *session) atEnd() {
	if s.matched < s.check || s.line.fold.Next() <= s.info.Last {
		return
	}
	select {
	case <-s.end:
	default:
		close(s.end)
	}
	if s.line.state() == nil {
		return
	}
	if !s.serving {
		s.serving = true
		s.r.swap(s.line)
	}
	s.r.fresh()
}
