package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// tendTimeout bounds one tending of the archive.
	tendTimeout = time.Minute
	// tendings is how often the archive is looked at while a checkpoint gets old.
	tendings = 60
)

// tend keeps the archive in order, again and again and whenever the log has grown by much.
func (r *Replica) tend(ctx context.Context) error {
	if r.cfg.Archive == nil {
		return nil
	}
	every := r.cfg.CheckpointEvery / tendings
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.tending:
		case <-time.After(every + jitter(every/4)):
		}
		if !r.following() {
			continue
		}
		if err := r.tendOnce(ctx, every); err != nil && ctx.Err() == nil {
			r.metrics.snapshots.WithLabelValues(archiveName, "tend", "failed").Inc()
			r.cfg.Logger.Warn().Err(err).Msg("checkpoints beside the log could not be kept in order, trying again later")
		}
	}
}

// tendOnce lets whoever has the lease add a checkpoint if one is due, forget those that are of
// no use, and trim a log that takes too much room.
func (r *Replica) tendOnce(ctx context.Context, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, tendTimeout)
	defer cancel()
	seq, bytes := r.tendsAt()
	if held, err := r.cfg.Archive.Lease(ctx, 3*every); err != nil || !held {
		return err
	}
	info, kept, err := r.assess(ctx)
	if err == nil && kept.due(seq, r.since(kept), info, r.cfg.Wall(), r.cfg.CheckpointEvery) {
		if err = r.checkpoint(ctx); err == nil {
			info, kept, err = r.assess(ctx) // what counts is what is kept
			r.counts(kept, bytes)
		}
	}
	if err != nil {
		return err
	}
	r.metrics.checkpoints.Set(float64(len(kept.valid)))
	if info.First > 1 && len(kept.valid) < checkpointsKept { // I10
		r.cfg.Logger.Warn().Int("checkpoints", len(kept.valid)).Msg("the log's head is gone, and few checkpoints fit it: more come as the log grows")
	}
	for _, c := range kept.surplus(r.cfg.Wall()) {
		if err := r.cfg.Archive.Remove(ctx, c.Name); err != nil {
			return fmt.Errorf("forget checkpoint %s: %w", c.Name, err)
		}
	}
	return r.trim(ctx, info, kept.trimAt(info))
}

// tendsAt notes that the archive is looked at now, with the position and the bytes counted until then.
func (r *Replica) tendsAt() (seq, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tended = r.bytes
	return r.core.Seq(), r.bytes
}

// grown reports whether so much was logged since the archive was looked at that a checkpoint
// may be due. The caller holds mu.
func (r *Replica) grown() bool {
	return r.cfg.Archive != nil && r.info.MaxBytes > 0 && float64(r.bytes-r.tended) >= float64(r.info.MaxBytes)*growth
}

// since is how many bytes were counted since the newest checkpoint was; another replica's counts
// from when it is seen.
func (r *Replica) since(kept checkpoints) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if newest := kept.newest(); newest != r.newestKept {
		r.newestKept, r.bytesKept = newest, r.bytes
	}
	return r.bytes - r.bytesKept
}

// counts lets the bytes after the newest checkpoint, which was made just now, count from there.
func (r *Replica) counts(kept checkpoints, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newestKept, r.bytesKept = kept.newest(), bytes
}

// checkpoint adds the audited state to the archive.
func (r *Replica) checkpoint(ctx context.Context) error {
	state, err := r.auditedCopy(ctx)
	if err != nil {
		return fmt.Errorf("audit the state for a checkpoint: %w", err)
	}
	snap := Snapshot{Namespace: r.cfg.Subjects.Namespace, Taken: r.cfg.Wall(), State: state}
	if err := r.cfg.Archive.Save(ctx, snap); err != nil {
		return fmt.Errorf("save a checkpoint: %w", err)
	}
	r.metrics.snapshots.WithLabelValues(archiveName, "save", "done").Inc()
	r.metrics.snapshotSeq.WithLabelValues(archiveName).Set(float64(state.Seq()))
	r.cfg.Logger.Info().Uint64("seq", state.Seq()).Int("entries", state.Map.Len()).Msg("checkpoint saved beside the log")
	return nil
}

func (r *Replica) trim(ctx context.Context, info LogInfo, first uint64) error {
	if first <= info.First {
		return nil
	}
	if err := r.cfg.Archive.Trim(ctx, info.StreamID, first); err != nil {
		return fmt.Errorf("trim the log before %d: %w", first, err)
	}
	r.metrics.trimmed.Add(float64(first - info.First))
	r.cfg.Logger.Info().Uint64("from", info.First).Uint64("to", first).Msg("the log's oldest messages were removed, checkpoints hold what they made")
	return nil
}

// assess looks at the log and finds out which checkpoints it continues (rule 15).
func (r *Replica) assess(ctx context.Context) (LogInfo, checkpoints, error) {
	info, err := r.cfg.Log.Info(ctx)
	if err != nil {
		return info, checkpoints{}, err
	}
	list, err := r.cfg.Archive.List(ctx)
	if err != nil {
		return info, checkpoints{}, fmt.Errorf("list checkpoints: %w", err)
	}
	kept, err := r.sift(ctx, info, list)
	return info, kept, err
}

func (r *Replica) sift(ctx context.Context, info LogInfo, list []Checkpoint) (checkpoints, error) {
	var kept checkpoints
	for _, c := range list {
		switch valid, err := r.inLog(ctx, info, c.StreamID, c.Anchor); {
		case err != nil:
			return kept, err
		case valid:
			kept.valid = append(kept.valid, c)
		default:
			kept.rest = append(kept.rest, c)
		}
	}
	return kept.sorted(), nil
}

// inLog reports whether the log continues a state at that position.
func (r *Replica) inLog(ctx context.Context, info LogInfo, streamID string, at Anchor) (bool, error) {
	s := &State{StreamID: streamID, Anchor: at}
	m, err := r.anchorOf(ctx, info, s)
	return err == nil && m != nil && r.core.Valid(info, s, m), err
}

// archiveName stands for the archive where stores are named.
const archiveName = "checkpoints"

// newest is the archive as a place where the newest snapshot is found.
type newest struct{ archive Archive }

func (newest) Name() string { return archiveName }

// Load tries the newest checkpoint first; one that cannot be read does not stand for all.
func (n newest) Load(ctx context.Context) (Snapshot, error) {
	list, err := n.archive.List(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	none := ErrNoSnapshot
	for len(list) > 0 {
		heads := make([]Snapshot, len(list))
		for i, c := range list {
			heads[i] = Snapshot{Taken: c.Taken, State: &State{StreamID: c.StreamID, Anchor: c.Anchor}}
		}
		i := Newest(heads)
		snap, err := n.archive.Load(ctx, list[i].Name)
		if err == nil {
			return snap, nil
		}
		if errors.Is(none, ErrNoSnapshot) && !errors.Is(err, ErrNoSnapshot) {
			none = err // the first that says more than that it is gone
		}
		list = slices.Delete(list, i, i+1)
	}
	return Snapshot{}, none
}
