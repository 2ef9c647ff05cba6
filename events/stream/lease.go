package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	leaseKey   = "checkpoints"
	leastLease = time.Second
	leaseTries = 3
)

// Lease asks for the right to save, remove and trim, or prolongs it, and reports whether this
// Archive has it now. The server ends it by itself when it was not prolonged for the time to
// live of the bucket: the ttl of whoever made the bucket, at least a second. It counts from the
// server's answer, so a holder counts from before its call. ErrUnavailable, ErrNoLog,
// ErrRefused, ErrUnfitBucket.
func (a *Archive) Lease(ctx context.Context, ttl time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	kv, err := a.leases(ctx, max(ttl, leastLease))
	if err != nil {
		return false, fmt.Errorf("ask for lease: %w", err)
	}
	for i := range leaseTries {
		if i > 0 && !pause(ctx) {
			break
		}
		var held bool
		if held, err = a.claim(ctx, kv); err == nil {
			return held, nil
		}
	}
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return false, nil
	}
	return false, a.log.serverError("ask for lease", err)
}

// claim makes one attempt. What it read may be old, so only a write that was compared with it
// decides; after an error the next attempt finds out whether it was stored.
func (a *Archive) claim(ctx context.Context, kv jetstream.KeyValue) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	entry, err := kv.Get(ctx, leaseKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		_, err = kv.Create(ctx, leaseKey, []byte(a.owner))
	case err == nil && string(entry.Value()) != a.owner:
		return false, nil
	case err == nil:
		_, err = kv.Update(ctx, leaseKey, []byte(a.owner), entry.Revision())
	}
	return err == nil, err
}
