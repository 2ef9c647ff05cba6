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
	codeAccountExceeded = jetstream.ErrorCode(10002)
	codeNoPeers         = jetstream.ErrorCode(10005)
	codeNoResources     = jetstream.ErrorCode(10023)
	codeStorageExceeded = jetstream.ErrorCode(10047)
	codeSubjectsOverlap = jetstream.ErrorCode(10065)
	codeNotClustered    = jetstream.ErrorCode(10074)
	codeNoTier          = jetstream.ErrorCode(10120)
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

// create makes the stream, with fewer copies where the servers cannot keep the best number.
func (l *Log) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	id, err := newID()
	if err != nil {
		return err
	}
	for _, copies := range l.cfg.copies() {
		if err = l.createWith(ctx, id, copies); err == nil || !tooManyCopies(err) {
			return err
		}
		l.conn.log.Debug().Err(err).Int("copies", copies).Msg("the log cannot have so many copies")
	}
	return err
}

func (l *Log) createWith(ctx context.Context, id string, copies int) error {
	maxBytes, err := l.admitted(ctx, l.cfg.maxBytes(), copies)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("create stream %s of %d bytes", l.cfg.Subjects.Stream(), maxBytes)
	if copies > 1 {
		what = fmt.Sprintf("%s in %d copies", what, copies)
	}
	_, err = l.reads.CreateStream(ctx, l.cfg.declare(id, maxBytes, copies))
	apiErr := new(jetstream.APIError)
	switch {
	case err == nil, errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
		return nil
	case errors.As(err, &apiErr) && apiErr.ErrorCode == codeSubjectsOverlap:
		return fmt.Errorf("%s: %w: another stream has its subjects %q; remove it or choose another namespace", what, events.ErrRefused, l.cfg.Subjects.All())
	default:
		return l.serverError(what, err)
	}
}

// tooManyCopies reports whether the servers may admit fewer copies of what they refused.
func tooManyCopies(err error) bool {
	apiErr := new(jetstream.APIError)
	if !errors.As(err, &apiErr) {
		return false
	}
	switch apiErr.ErrorCode {
	case codeNotClustered, codeNoPeers, codeNoTier, codeNoResources, codeStorageExceeded, codeAccountExceeded:
		return true
	default:
		return false
	}
}

// admitted is the size of a stream with so many copies: the wanted one, or three quarters of
// what the account admits if that is less. The rest is for the checkpoints: a server makes no
// bucket where everything is reserved.
func (l *Log) admitted(ctx context.Context, want int64, copies int) (int64, error) {
	account, err := l.reads.AccountInfo(ctx)
	if err != nil {
		return 0, l.readError("ask for account", err)
	}
	limits := account.Limits
	most := limits.MaxStore / int64(copies) // each copy is charged …
	if tier, ok := account.Tiers[fmt.Sprint("R", copies)]; ok {
		limits, most = tier.Limits, tier.Limits.MaxStore // … except in limits by number of copies
	}
	if most > 0 {
		want = min(want, most-most/4)
	}
	if limits.StoreMaxStreamBytes > 0 {
		want = min(want, limits.StoreMaxStreamBytes)
	}
	return want, nil
}
