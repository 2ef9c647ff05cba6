package stream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// metaNamespace says whose a bucket or a checkpoint is.
const metaNamespace = "sluice.namespace"

// Names of a bucket's stream and subjects (NATS architecture decisions 8 and 20). The library
// has no calls for what is done by them here: to look at a bucket before it is used, and to
// remove what an interrupted upload or a removal leaves behind.
const (
	objectStream = "OBJ_%s"
	objectAll    = "$O.%s.>"
	objectChunks = "$O.%s.C."
	objectMeta   = "$O.%s.M."
	kvStream     = "KV_%s"
	kvSubjects   = "$KV.%s."
)

// ErrUnfitBucket: a bucket of our name exists that may not hold checkpoints or the lease,
// because it is not ours or because it forgets what it must keep.
var ErrUnfitBucket = errors.New("the bucket cannot be used")

// checkpointBucket names the object store of the log's checkpoints.
func (c Config) checkpointBucket() string { return c.Subjects.Stream() + "_CHECKPOINTS" }

// leaseBucket names the key-value store of the lease.
func (c Config) leaseBucket() string { return c.Subjects.Stream() + "_LEASE" }

func (c Config) bucketMetadata() map[string]string {
	return map[string]string{metaNamespace: c.Subjects.Namespace, metaFormat: format}
}

// objects is the bucket of checkpoints, and the stream that it is made of.
type objects struct {
	name   string
	store  jetstream.ObjectStore
	stream jetstream.Stream
}

// metaSubject is where an object's name and metadata are stored.
func (b *objects) metaSubject(name string) string {
	return fmt.Sprintf(objectMeta, b.name) + base64.URLEncoding.EncodeToString([]byte(name))
}

// list tries more than once: the library waits in vain for the end of a list whose last object
// is removed meanwhile.
func (b *objects) list(ctx context.Context) ([]*jetstream.ObjectInfo, error) {
	for {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		found, err := b.store.List(attempt)
		late := attempt.Err() != nil
		cancel()
		if err == nil || !late || ctx.Err() != nil {
			return found, err
		}
	}
}

// objects finds the bucket of checkpoints. jetstream.ErrBucketNotFound, ErrUnfitBucket,
// ErrUnavailable.
func (a *Archive) objects(ctx context.Context) (*objects, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	const what = "ask for bucket of checkpoints"
	name := a.log.cfg.checkpointBucket()
	s, err := a.log.bucketStream(ctx, fmt.Sprintf(objectStream, name))
	if err != nil {
		return nil, a.log.bucketError(what, err)
	}
	if err := a.log.cfg.checkObjects(s.CachedInfo().Config); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	store, err := a.log.reads.ObjectStore(ctx, name)
	if err != nil {
		return nil, a.log.bucketError(what, err)
	}
	return &objects{name: name, store: store, stream: s}, nil
}

// createObjects finds the bucket of checkpoints and makes it if it is missing.
func (a *Archive) createObjects(ctx context.Context) (*objects, error) {
	b, err := a.objects(ctx)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return b, err
	}
	err = a.create(ctx, "create bucket of checkpoints", func(ctx context.Context, copies int) error {
		_, err := a.log.reads.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket:      a.log.cfg.checkpointBucket(),
			Description: "Sluice: checkpoints of namespace " + a.log.cfg.Subjects.Namespace,
			Storage:     jetstream.FileStorage,
			Replicas:    copies,
			Metadata:    a.log.cfg.bucketMetadata(),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.objects(ctx) // never what was asked for, always what is there
}

// leases finds the bucket of the lease and makes it if it is missing, with that time to live.
func (a *Archive) leases(ctx context.Context, ttl time.Duration) (jetstream.KeyValue, error) {
	kv, err := a.findLeases(ctx)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	err = a.create(ctx, "create bucket of the lease", func(ctx context.Context, copies int) error {
		_, err := a.log.reads.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket:      a.log.cfg.leaseBucket(),
			Description: "Sluice: who keeps the checkpoints of namespace " + a.log.cfg.Subjects.Namespace,
			History:     1,
			TTL:         ttl,
			Storage:     jetstream.FileStorage,
			Replicas:    copies,
			Metadata:    a.log.cfg.bucketMetadata(),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.findLeases(ctx)
}

// create makes a bucket with as many copies as the log; one that is there is no error. A log whose
// size nobody set may have taken all the room that there was: it gives a quarter back, once.
func (a *Archive) create(ctx context.Context, what string, bucket func(ctx context.Context, copies int) error) error {
	si, err := a.log.info(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	size, copies := si.Config.MaxBytes, si.Config.Replicas
	if err = bucket(ctx, copies); noRoom(err) && a.log.cfg.MaxBytes == 0 && untouched(size) {
		// Others who do so at the same moment come to the same size.
		if err := a.log.resize(ctx, si, size-size/4); err != nil {
			return fmt.Errorf("%s: make room: %w", what, err)
		}
		err = bucket(ctx, copies)
	}
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return a.log.serverError(what, err)
	}
	return nil
}

// untouched reports whether a log has a size that createLargest found.
func untouched(size int64) bool { return size >= leastMaxBytes && DefaultMaxBytes%size == 0 }

func (a *Archive) findLeases(ctx context.Context) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	const what = "ask for bucket of the lease"
	name := a.log.cfg.leaseBucket()
	s, err := a.log.bucketStream(ctx, fmt.Sprintf(kvStream, name))
	if err != nil {
		return nil, a.log.bucketError(what, err)
	}
	if err := a.log.cfg.checkLeases(s.CachedInfo().Config); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	kv, err := a.log.reads.KeyValue(ctx, name)
	if err != nil {
		return nil, a.log.bucketError(what, err)
	}
	return kv, nil
}

// bucketStream asks for the stream of a bucket. jetstream.ErrBucketNotFound if there is none.
func (l *Log) bucketStream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := l.reads.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = jetstream.ErrBucketNotFound
	}
	return s, err
}

func (l *Log) bucketError(what string, err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return l.serverError(what, err)
}

// checkObjects says why a stream cannot be the bucket of checkpoints; nil if it can.
func (c Config) checkObjects(s jetstream.StreamConfig) error {
	name := c.checkpointBucket()
	p := c.checkBucket(s, fmt.Sprintf(objectChunks, name)+">", fmt.Sprintf(objectMeta, name)+">")
	p.add(s.MaxAge != 0, "it has a maximum age")
	p.add(s.MaxMsgsPerSubject > 0, "it has a maximum number of messages per subject")
	p.add(s.Discard != jetstream.DiscardNew, "it discards old messages when it is full")
	p.add(s.DenyPurge, "it denies purges")
	return p.of(s.Name, ErrUnfitBucket)
}

// checkLeases says why a stream cannot be the bucket of the lease; nil if it can.
func (c Config) checkLeases(s jetstream.StreamConfig) error {
	p := c.checkBucket(s, fmt.Sprintf(kvSubjects, c.leaseBucket())+">")
	p.add(s.MaxAge <= 0, "it has no maximum age, so a lease would never end")
	p.add(s.MaxMsgsPerSubject != 1, "it does not keep one message per subject")
	return p.of(s.Name, ErrUnfitBucket)
}

func (c Config) checkBucket(s jetstream.StreamConfig, subjects ...string) problems {
	var p problems
	p.add(s.Metadata[metaNamespace] != c.Subjects.Namespace, fmt.Sprintf("its %s is %.40q, so Sluice did not create it for %q",
		metaNamespace, s.Metadata[metaNamespace], c.Subjects.Namespace))
	p.add(s.Metadata[metaFormat] != format, fmt.Sprintf("its %s is %.20q, this program knows %q", metaFormat, s.Metadata[metaFormat], format))
	p.add(!slices.Equal(sorted(s.Subjects), sorted(subjects)), fmt.Sprintf("its subjects are %.200q", s.Subjects))
	p.add(s.Storage != jetstream.FileStorage, "it is not stored in files")
	p.add(s.Retention != jetstream.LimitsPolicy, "its retention drops what was consumed")
	p.add(s.MaxMsgs > 0, "it has a maximum number of messages")
	p.add(s.Sealed, "it is sealed")
	p.add(s.Mirror != nil || len(s.Sources) > 0, "it is a copy of another stream")
	return p
}
