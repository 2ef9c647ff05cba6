package stream

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// leftoverAge is the server's age at which parts without an object belong to an upload that was
// interrupted: no upload of the largest snapshot lasts as long.
const leftoverAge = 10 * time.Minute

// sweep removes the parts of interrupted uploads, and the marks of interrupted removals: the
// library forgets about both, and they would fill the server's disk.
//
// It asks the bucket's leader what there is, and gives up at the first thing that a copy which
// lags does not know: what a list lacks is not known to be nobody's.
func (a *Archive) sweep(ctx context.Context, b *objects) error {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	si, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(fmt.Sprintf(objectAll, b.name)))
	if err != nil {
		return a.log.readError("ask what is in the bucket", err)
	}
	owned := map[string]bool{}
	metas, chunks := fmt.Sprintf(objectMeta, b.name), fmt.Sprintf(objectChunks, b.name)
	for subject := range si.State.Subjects {
		if encoded, ok := strings.CutPrefix(subject, metas); ok {
			id, err := a.sweepObject(ctx, b, encoded)
			if err != nil {
				return err
			}
			owned[chunks+id] = true
		}
	}
	for subject := range si.State.Subjects {
		if strings.HasPrefix(subject, chunks) && !owned[subject] {
			if err := a.sweepParts(ctx, b, subject, si.TimeStamp.Add(-a.leftover)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepObject returns the id that an object's parts go by, and removes the mark of one that is
// removed. Its parts are nobody's then.
func (a *Archive) sweepObject(ctx context.Context, b *objects, encoded string) (string, error) {
	name, err := base64.URLEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("name of object %.100q: %w", encoded, err)
	}
	info, err := b.store.GetInfo(ctx, string(name), jetstream.GetObjectInfoShowDeleted())
	if err != nil {
		return "", fmt.Errorf("ask for object %.100q: %w", name, err)
	}
	if !info.Deleted {
		return info.NUID, nil
	}
	return "", b.purge(ctx, b.metaSubject(string(name)))
}

// sweepParts removes parts of which the last is from before then.
func (a *Archive) sweepParts(ctx context.Context, b *objects, subject string, then time.Time) error {
	last, err := b.stream.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return fmt.Errorf("ask for last part %s: %w", subject, err)
	}
	if !last.Time.Before(then) {
		return nil
	}
	return b.purge(ctx, subject)
}

func (b *objects) purge(ctx context.Context, subject string) error {
	if err := b.stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return fmt.Errorf("purge %s: %w", subject, err)
	}
	return nil
}
