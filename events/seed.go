package events

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// seed starts the log: when it is readable to its end and no genesis counts, the state
// that this replica has becomes the genesis (rule 18). Any number of replicas may do it,
// the first genesis counts.
func (s *session) seed(ctx context.Context) error {
	if !s.needsGenesis(ctx) {
		return nil
	}
	if _, obstacle := s.r.decideGenesis(Around{Forbid: s.r.cfg.Bootstrap.Forbid}); obstacle == ObstacleForbidden {
		s.r.unbegin("the log holds no state and --no-bootstrap forbids to begin one: run `sluice recover begin-log` at the replica with the newest state, or start one replica without the flag")
		return nil
	}
	g, err := s.genesis(ctx)
	if err != nil || g == nil {
		return err
	}
	if err := s.r.publishGenesis(ctx, *g); err != nil {
		return fmt.Errorf("publish the genesis: %w", err)
	}
	if !s.within(ctx, genesisPatience) {
		s.r.unbegin("the log did not accept this replica's state as its beginning, since it is older than removals are remembered: start a replica that has a newer one; if there is none, run `sluice recover begin-log` here, which may undo removals")
	}
	return nil
}

// unbegin tells the operator that this replica may not begin the log by itself.
func (r *Replica) unbegin(why string) {
	r.setProblem(why)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unbegun = true
}

const genesisPatience = 20 * time.Second

// needsGenesis waits for the log's end and reports whether no genesis counted until then.
func (s *session) needsGenesis(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.end:
	}
	select {
	case <-s.counted:
		return false
	default:
		return true
	}
}

// within waits for d and reports whether meanwhile a genesis counted or ctx ended.
func (s *session) within(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return true
	case <-s.counted:
		return true
	case <-t.C:
		return false
	}
}

// genesis is made of this replica's state, or of the newest snapshot, or is blank on a
// first installation, and is to be published at once: after every wait, the random one too,
// all is looked at anew. It is nil if none is needed any more.
func (s *session) genesis(ctx context.Context) (*Genesis, error) {
	for around := (Around{}); ; {
		unknown := s.r.look(ctx, &around)
		g, obstacle := s.r.decideGenesis(around)
		var wait time.Duration
		switch obstacle {
		case Unobstructed:
			return g, nil
		case ObstacleUnknown:
			return nil, fmt.Errorf("the log is empty, and whether there is a snapshot is not known: %w", unknown)
		case ObstacleListening:
			wait, around.Listened = s.r.cfg.Bootstrap.PeerWait, true
		case ObstaclePeer:
			s.r.setProblem("the log is empty and another replica has the state: waiting for it to start the log")
			wait, around.Waited = time.Second, false
		case ObstacleWaiting:
			if err := s.checkClock(ctx); err != nil {
				return nil, err
			}
			wait, around.Waited = jitter(s.r.cfg.Bootstrap.Jitter), true
		}
		if s.within(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}

// look finds out where else a state may be: in a store, whose error it returns, and then, since
// that may take its time, at a peer.
func (r *Replica) look(ctx context.Context, around *Around) error {
	var unknown error
	if !r.hasState() {
		_, unknown = r.adoptNewest(ctx)
	}
	r.serveRecalled() // there is nothing better
	around.Unknown, around.PeerHasState = unknown != nil, r.cfg.PeerHasState()
	return unknown
}

func (r *Replica) hasState() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.State() != nil
}

// decideGenesis asks the core.
func (r *Replica) decideGenesis(around Around) (*Genesis, Obstacle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, obstacle := r.core.Genesis(around, r.cfg.Wall())
	g.ID = r.genesisID()
	return &g, obstacle
}

func (r *Replica) genesisID() string {
	return fmt.Sprintf("genesis-%016x-%d", r.cfg.Node, r.cfg.Wall().UnixNano())
}

// checkClock compares this machine's clock with the log's, if that is to begin blank: such a
// genesis from the future would make every later write look expired.
func (s *session) checkClock(ctx context.Context) error {
	if s.r.hasState() {
		return nil
	}
	seq, err := s.r.cfg.Log.Append(ctx, Tick(s.r.cfg.Subjects, s.r.tickID()))
	if err != nil {
		return fmt.Errorf("compare the clock with the log's: %w", err)
	}
	m, err := s.r.cfg.Log.Get(ctx, seq)
	if err != nil {
		return fmt.Errorf("compare the clock with the log's: %w", err)
	}
	if off := m.Time.Sub(s.r.cfg.Wall()).Abs(); off > DefaultParams().F/4 {
		return fmt.Errorf("%w: %s apart: set the clock of this machine or of the log's (NTP)", ErrClock, off.Round(time.Second))
	}
	return nil
}

func (r *Replica) publishGenesis(ctx context.Context, g Genesis) error {
	chunks, err := g.Chunks(r.cfg.Subjects)
	if err != nil {
		return err
	}
	seqs := make([]uint64, len(chunks))
	for i, chunk := range chunks {
		if seqs[i], err = r.cfg.Log.Append(ctx, chunk); err != nil {
			return fmt.Errorf("append chunk %d of %d: %w", i+1, len(chunks), err)
		}
	}
	m, err := g.Message(r.cfg.Subjects, seqs)
	if err != nil {
		return err
	}
	if _, err := r.cfg.Log.Append(ctx, m); err != nil {
		return err
	}
	r.cfg.Logger.Info().Str("genesis", g.ID).Int("entries", g.Map.Len()).Msg("started the log from this replica's state")
	return nil
}

func jitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return rand.N(limit)
}
