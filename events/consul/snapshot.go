package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"

	"sluice/events"
)

const (
	manifestPath = "snapshot/manifest"
	chunksPath   = "snapshot/chunks/"
	// races is how often a save or a load starts again because somebody else saved. Saves are
	// seconds apart, so one is rare.
	races = 50
	// leftover is the age at which chunks without manifest belong to a save that died.
	leftover = time.Hour
	cleanup  = 5 * time.Second
)

// Save writes the snapshot's chunks and then switches the manifest to them by compare-and-set,
// so a reader sees the old snapshot or the new one. It does nothing if the stored one is of the
// same log and not older.
func (s *Store) Save(ctx context.Context, snap events.Snapshot) error {
	if snap.State == nil {
		return errors.New("save snapshot to consul: there is no state")
	}
	if snap.Namespace != s.namespace {
		return fmt.Errorf("save snapshot to consul: %w: it is of %q, this store of %q", events.ErrForeignSnapshot, snap.Namespace, s.namespace)
	}
	old, index, err := s.manifest(ctx)
	if err != nil && !errors.Is(err, events.ErrCorruptSnapshot) {
		return fmt.Errorf("save snapshot to consul: %w", err)
	}
	if covers(old, snap) {
		return nil
	}
	data, err := snap.Encode()
	if err != nil {
		return fmt.Errorf("save snapshot to consul: %w", err)
	}
	m, chunks, err := describe(snap, data)
	if err != nil {
		return fmt.Errorf("save snapshot to consul: %w", err)
	}
	u := &upload{snap: snap, m: m, chunks: chunks, index: index, replaces: old.ID}
	switch done, err := s.upload(ctx, u); {
	case err != nil:
		if !u.sent {
			s.remove(ctx, m.ID)
		}
		return fmt.Errorf("save snapshot to consul: %w", err)
	case done:
		s.clean(ctx, m, u.replaces)
	default: // a newer one came first
		s.remove(ctx, m.ID)
	}
	return nil
}

type upload struct {
	snap   events.Snapshot
	m      manifest
	chunks [][]byte
	// index and replaces are the index (0: none) and the id of the manifest to be replaced.
	index    uint64
	replaces string
	// sent: the manifest was sent and not answered, so that the chunks may be in use now or later.
	sent bool
}

// upload is false if a newer snapshot came first.
func (s *Store) upload(ctx context.Context, u *upload) (bool, error) {
	for i, chunk := range u.chunks {
		if err := s.client.put(ctx, s.chunk(u.m.ID, i), chunk); err != nil {
			return false, err
		}
	}
	text, err := json.Marshal(u.m)
	if err != nil {
		return false, fmt.Errorf("encode manifest: %w", err)
	}
	for range races {
		done, err := s.client.cas(ctx, &api.KVPair{Key: s.own(manifestPath), Value: text, ModifyIndex: u.index})
		if u.sent = err != nil; err != nil || done {
			return done, err
		}
		now, index, err := s.manifest(ctx)
		switch {
		case err != nil && !errors.Is(err, events.ErrCorruptSnapshot):
			return false, err
		case now.ID == u.m.ID: // the answer to our own write was lost, and it was made again
			return true, nil
		case covers(now, u.snap):
			return false, nil
		}
		u.index, u.replaces = index, now.ID
	}
	return false, errors.New("switch manifest: others saved all the time")
}

// covers reports whether a stored snapshot makes this one needless.
func covers(m manifest, snap events.Snapshot) bool {
	return m.ID != "" && m.StreamID == snap.State.StreamID && m.Seq >= snap.State.Seq()
}

// Load returns the stored snapshot. ErrNoSnapshot, ErrForeignSnapshot, ErrCorruptSnapshot (both
// name what is wrong); any other error: Consul could not be reached.
func (s *Store) Load(ctx context.Context) (events.Snapshot, error) {
	for range races {
		m, index, err := s.manifest(ctx)
		if err == nil && index == 0 {
			err = events.ErrNoSnapshot
		}
		if err != nil {
			return events.Snapshot{}, fmt.Errorf("load snapshot from consul: %w", err)
		}
		data, err := s.download(ctx, m)
		if err == nil {
			return s.decode(m, data)
		}
		// A save that came between removes the chunks; then there is another manifest.
		if now, _, again := s.manifest(ctx); !errors.Is(err, events.ErrCorruptSnapshot) || again != nil || now.ID == m.ID {
			return events.Snapshot{}, fmt.Errorf("load snapshot from consul: %w", err)
		}
	}
	return events.Snapshot{}, errors.New("load snapshot from consul: others saved all the time")
}

func (s *Store) decode(m manifest, data []byte) (events.Snapshot, error) {
	if len(data) != m.Size || sum(data) != m.SHA256 {
		return events.Snapshot{}, fmt.Errorf("load snapshot from consul: %w: snapshot %s as a whole", events.ErrCorruptSnapshot, m.ID)
	}
	snap, err := events.DecodeSnapshot(data)
	if err != nil {
		return events.Snapshot{}, fmt.Errorf("load snapshot from consul: %w: %w", events.ErrCorruptSnapshot, err)
	}
	if snap.Namespace != s.namespace {
		return events.Snapshot{}, fmt.Errorf("load snapshot from consul: %w: it is of %.60q, this replica of %q", events.ErrForeignSnapshot, snap.Namespace, s.namespace)
	}
	return snap, nil
}

// manifest reads the current manifest and its index; both are zero if there is none. The index
// is right with ErrCorruptSnapshot too, so that a save can replace what is broken.
func (s *Store) manifest(ctx context.Context) (manifest, uint64, error) {
	pair, err := s.client.get(ctx, s.own(manifestPath))
	if err != nil || pair == nil {
		return manifest{}, 0, err
	}
	m, err := decodeManifest(pair.Value)
	if err != nil {
		return manifest{}, pair.ModifyIndex, fmt.Errorf("%s: %w", pair.Key, err)
	}
	if m.Namespace != s.namespace {
		return manifest{}, pair.ModifyIndex, fmt.Errorf("%s: %w: it is of %.60q, this replica of %q", pair.Key, events.ErrForeignSnapshot, m.Namespace, s.namespace)
	}
	return m, pair.ModifyIndex, nil
}

func (s *Store) download(ctx context.Context, m manifest) ([]byte, error) {
	data := make([]byte, 0, m.Size)
	for i, want := range m.Chunks {
		key := s.chunk(m.ID, i)
		pair, err := s.client.get(ctx, key)
		if err != nil {
			return nil, err
		}
		if pair == nil {
			return nil, fmt.Errorf("%w: chunk %s is missing", events.ErrCorruptSnapshot, key)
		}
		if sum(pair.Value) != want {
			return nil, fmt.Errorf("%w: chunk %s does not have its checksum", events.ErrCorruptSnapshot, key)
		}
		data = append(data, pair.Value...)
	}
	return data, nil
}

func (s *Store) chunk(id string, i int) string {
	return s.own(chunksPath + id + "/" + strconv.Itoa(i))
}

// clean removes the chunks of the replaced snapshot and those that a save left behind when it
// died. Younger ones may belong to a save that is under way.
func (s *Store) clean(ctx context.Context, m manifest, replaced string) {
	if replaced != "" && replaced != m.ID {
		s.remove(ctx, replaced)
	}
	ids, err := s.client.folders(ctx, s.own(chunksPath))
	if err != nil {
		s.log.Warn().Err(err).Msg("could not look for old snapshot chunks")
		return
	}
	for _, id := range ids {
		if old, ok := age(id, m.Time); ok && id != m.ID && old > leftover {
			s.remove(ctx, id)
		}
	}
}

// remove deletes one snapshot's chunks. What stays is removed by a later save.
func (s *Store) remove(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	if err := s.client.deleteTree(ctx, s.own(chunksPath+id+"/")); err != nil {
		s.log.Warn().Err(err).Msg("could not remove snapshot chunks")
	}
}
