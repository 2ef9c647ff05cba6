package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

var _ events.Archive = (*Archive)(nil)

const (
	// maxCheckpoint bounds an encoded snapshot.
	maxCheckpoint = 1 << 30
	// objectTimeout bounds a call that moves whole objects, and each objectRate bytes of one
	// give it a second more: a server makes each part of 128 KiB durable, which takes a slow
	// disk tens of milliseconds.
	objectTimeout = 10 * time.Second
	objectRate    = 2 << 20
)

// Archive keeps the checkpoints of a log beside it, in a bucket of the same JetStream, and has
// the right to trim the log. Safe for concurrent use.
//
// Errors beyond those of events.Archive: ErrUnfitBucket (a bucket of our name is not ours),
// events.ErrRefused (the server said no), events.ErrNoLog (there is no stream).
type Archive struct {
	log *Log
	// owner names this Archive in the lease.
	owner string
	// leftover is the age at which parts without an object are removed.
	leftover time.Duration
}

// NewArchive returns the archive of a log; it does not talk to the server yet.
func NewArchive(log *Log) *Archive {
	return &Archive{log: log, owner: rand.Text(), leftover: leftoverAge}
}

// List returns the checkpoints; none if nothing was ever saved. Those whose metadata cannot be
// read, and those that are being saved now, have no stream identity and no anchor.
// ErrUnavailable, ErrUnfitBucket.
func (a *Archive) List(ctx context.Context) ([]events.Checkpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	b, err := a.objects(ctx)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found, err := b.list(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, a.log.readError("list checkpoints", err)
	}
	list := make([]events.Checkpoint, 0, len(found))
	for _, o := range found {
		c, err := a.log.cfg.checkpoint(o)
		if err != nil {
			a.log.conn.log.Debug().Err(err).Msg("checkpoint cannot be used")
		}
		list = append(list, c)
	}
	return list, nil
}

// Load returns a checkpoint's snapshot. events.ErrNoSnapshot, events.ErrForeignSnapshot,
// events.ErrCorruptSnapshot (also when it is not what its metadata says),
// events.ErrSnapshotVersion, ErrUnavailable, ErrUnfitBucket.
func (a *Archive) Load(ctx context.Context, name string) (events.Snapshot, error) {
	what := fmt.Sprintf("load checkpoint %.100q", name)
	b, err := a.objects(ctx)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return events.Snapshot{}, fmt.Errorf("%s: %w", what, events.ErrNoSnapshot)
	}
	if err != nil {
		return events.Snapshot{}, err
	}
	s, err := a.load(ctx, b, name)
	if err != nil {
		return events.Snapshot{}, fmt.Errorf("%s: %w", what, err)
	}
	return s, nil
}

func (a *Archive) load(ctx context.Context, b *objects, name string) (events.Snapshot, error) {
	info, err := a.info(ctx, b, name)
	if err != nil {
		return events.Snapshot{}, err
	}
	data, err := a.read(ctx, b, info)
	if err != nil {
		return events.Snapshot{}, err
	}
	s, err := events.DecodeSnapshot(data)
	if err != nil {
		return events.Snapshot{}, err
	}
	if s.Namespace != a.log.cfg.Subjects.Namespace {
		return events.Snapshot{}, fmt.Errorf("%w: it is of %.60q, this log of %q", events.ErrForeignSnapshot, s.Namespace, a.log.cfg.Subjects.Namespace)
	}
	c, err := a.log.cfg.checkpoint(info)
	if err == nil && (c.StreamID != s.State.StreamID || c.Anchor != s.State.Anchor) {
		return events.Snapshot{}, fmt.Errorf("%w: it is not the state that its metadata tells of", events.ErrCorruptSnapshot)
	}
	return s, nil
}

func (a *Archive) info(ctx context.Context, b *objects, name string) (*jetstream.ObjectInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	info, err := b.store.GetInfo(ctx, name)
	switch {
	case err == nil:
		return info, nil
	case errors.Is(err, jetstream.ErrObjectNotFound), errors.Is(err, jetstream.ErrBucketNotFound), errors.Is(err, jetstream.ErrNameRequired):
		return nil, events.ErrNoSnapshot
	case errors.Is(err, jetstream.ErrBadObjectMeta):
		return nil, fmt.Errorf("%w: %w", events.ErrCorruptSnapshot, err)
	default:
		return nil, a.log.readError("ask for object", err)
	}
}

// read returns the bytes of an object; the library compares their checksum.
func (a *Archive) read(ctx context.Context, b *objects, o *jetstream.ObjectInfo) ([]byte, error) {
	if o.Size > maxCheckpoint {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d are possible", events.ErrCorruptSnapshot, o.Size, maxCheckpoint)
	}
	ctx, cancel := context.WithTimeout(ctx, wholeObject(o.Size))
	defer cancel()
	if err := a.complete(ctx, b, o); err != nil {
		return nil, err
	}
	r, err := b.store.Get(ctx, o.Name)
	if err != nil {
		return nil, a.log.readError("read object", err)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxCheckpoint+1))
	_ = r.Close() // it was only read
	switch {
	case errors.Is(err, jetstream.ErrDigestMismatch), errors.Is(err, jetstream.ErrInvalidDigestFormat):
		return nil, fmt.Errorf("%w: %w", events.ErrCorruptSnapshot, err)
	case err != nil:
		return nil, a.log.readError("read object", err)
	case uint64(len(data)) != o.Size:
		return nil, fmt.Errorf("%w: it has %d bytes instead of %d", events.ErrCorruptSnapshot, len(data), o.Size)
	}
	return data, nil
}

// complete tells an object whose parts are gone, which the library would wait for.
func (a *Archive) complete(ctx context.Context, b *objects, o *jetstream.ObjectInfo) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	chunks := fmt.Sprintf(objectChunks, b.name) + o.NUID
	si, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(chunks))
	if err != nil {
		return a.log.readError("count parts of object", err)
	}
	if got := si.State.Subjects[chunks]; got != uint64(o.Chunks) {
		if _, err := a.info(ctx, b, o.Name); errors.Is(err, events.ErrNoSnapshot) {
			return err // removed meanwhile
		}
		return fmt.Errorf("%w: %d of its %d parts are there", events.ErrCorruptSnapshot, got, o.Chunks)
	}
	return nil
}

// Save adds a snapshot as a checkpoint and makes the bucket if it is missing. It reads back what
// was stored before that counts: the log is trimmed on the strength of it. After an error there
// is no checkpoint, or one without an anchor, unless only the last answer was lost.
// events.ErrForeignSnapshot, ErrRefused, ErrUnavailable, ErrNoLog, ErrUnfitBucket.
func (a *Archive) Save(ctx context.Context, s events.Snapshot) error {
	if s.Namespace != a.log.cfg.Subjects.Namespace {
		return fmt.Errorf("save checkpoint: %w: it is of %.60q, this log of %q", events.ErrForeignSnapshot, s.Namespace, a.log.cfg.Subjects.Namespace)
	}
	data, err := s.Encode()
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if len(data) > maxCheckpoint {
		return fmt.Errorf("save checkpoint: %w: the snapshot has %d bytes, at most %d are possible", events.ErrRefused, len(data), maxCheckpoint)
	}
	b, err := a.createObjects(ctx)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := a.sweep(ctx, b); err != nil {
		a.log.conn.log.Debug().Err(err).Msg("bucket of checkpoints is not swept, next time")
	}
	if err := a.put(ctx, b, describe(s), data); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// wholeObject is how long a call may take that moves so many bytes.
func wholeObject(size uint64) time.Duration {
	return objectTimeout + time.Duration(size/objectRate)*time.Second
}

// Remove forgets a checkpoint; one that is not there is no error. ErrUnavailable,
// ErrUnfitBucket.
func (a *Archive) Remove(ctx context.Context, name string) error {
	what := fmt.Sprintf("remove checkpoint %.100q", name)
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	b, err := a.objects(ctx)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch err := b.store.Delete(ctx, name); {
	case errors.Is(err, jetstream.ErrObjectNotFound), errors.Is(err, jetstream.ErrBucketNotFound), errors.Is(err, jetstream.ErrNameRequired):
		return nil
	case err != nil:
		return a.log.serverError(what, err)
	}
	// Names are never used again, so the mark that the library leaves would stay for ever.
	if err := b.purge(ctx, b.metaSubject(name)); err != nil {
		return a.log.serverError(what, err)
	}
	return nil
}
