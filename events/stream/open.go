package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

// createTimeout is long because a cluster elects the stream's leader first.
const createTimeout = 10 * time.Second

// The server's error codes that creation decides by; jetstream does not name them all.
const (
	codeStorageExceeded = jetstream.ErrorCode(10047)
	codeSubjectsOverlap = jetstream.ErrorCode(10065)
)

// Open creates the stream if it is missing and returns what it is. Several replicas may do so
// at the same moment: whoever comes second reads what the first one made. ErrUnavailable,
// ErrUnfit, ErrRefused (the server does not admit the stream; the text says why).
func (l *Log) Open(ctx context.Context) (events.LogInfo, error) {
	info, err := l.Info(ctx)
	if !errors.Is(err, events.ErrNoLog) {
		return info, err
	}
	if err := l.create(ctx); err != nil {
		return events.LogInfo{}, err
	}
	// Never what was asked for, always what is stored: the creation may have been another's.
	return l.Info(ctx)
}

func (l *Log) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	maxBytes, err := l.admitted(ctx)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	name := l.cfg.Subjects.Stream()
	_, err = l.reads.CreateStream(ctx, l.cfg.declare(id, maxBytes))
	if err == nil || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	apiErr := new(jetstream.APIError)
	if !errors.As(err, &apiErr) {
		return l.readError("create stream", err)
	}
	switch apiErr.ErrorCode {
	case codeStorageExceeded:
		return fmt.Errorf("create stream %s of %d bytes: %w: %w; raise the server's store limit or lower the stream's", name, maxBytes, events.ErrRefused, err)
	case codeSubjectsOverlap:
		return fmt.Errorf("create stream %s: %w: another stream has its subjects %q; remove it or choose another namespace", name, events.ErrRefused, l.cfg.Subjects.All())
	}
	if apiErr.Code >= 500 {
		return l.readError("create stream", err)
	}
	return fmt.Errorf("create stream %s: %w: %w", name, events.ErrRefused, err)
}

// admitted is the stream's size: what was set, or the account's limit if that is less.
func (l *Log) admitted(ctx context.Context) (int64, error) {
	account, err := l.reads.AccountInfo(ctx)
	if err != nil {
		return 0, l.readError("ask for account", err)
	}
	limit := l.cfg.MaxBytes
	if most := account.Limits.MaxStore; most > 0 {
		// Un-tiered accounts are charged once per copy.
		limit = min(limit, most/int64(max(1, l.cfg.Replicas)))
	}
	return limit, nil
}
