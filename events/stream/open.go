package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	refused := l.create(ctx)
	// Never what was asked for, always what is stored: the creation may have been another's, which
	// has taken the room for this one.
	if info, err = l.Info(ctx); err != nil && refused != nil {
		return events.LogInfo{}, refused
	}
	return info, err
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
		if err = l.createLargest(ctx, id, copies); err == nil || !tooManyCopies(err) {
			return err
		}
		l.conn.log.Debug().Err(err).Int("copies", copies).Msg("the log cannot have so many copies")
	}
	return err
}

// createLargest makes the stream with so many copies and the size that is set. Without one, servers
// that have no room for the default are asked for half as much, and so on.
func (l *Log) createLargest(ctx context.Context, id string, copies int) error {
	size, why, err := l.admitted(ctx, l.cfg.maxBytes(), copies)
	if err != nil {
		return err
	}
	for {
		err := l.createWith(ctx, l.cfg.declare(id, size, copies))
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			return nil
		case err == nil:
			if l.cfg.MaxBytes == 0 && why != "" {
				l.conn.log.Info().Str("stream", l.cfg.Subjects.Stream()).Int64("bytes", size).Int64("default", DefaultMaxBytes).
					Str("why", why).Msg("the log is smaller than the default; --log-size sets another size")
			}
			return nil
		case l.cfg.MaxBytes != 0 || !noRoom(err) || size/2 < leastMaxBytes:
			return err
		}
		size, why = size/2, fmt.Sprintf("no server has room for %d bytes", size)
	}
}

func (l *Log) createWith(ctx context.Context, cfg jetstream.StreamConfig) error {
	what := fmt.Sprintf("create stream %s of %d bytes", cfg.Name, cfg.MaxBytes)
	if cfg.Replicas > 1 {
		what = fmt.Sprintf("%s in %d copies", what, cfg.Replicas)
	}
	_, err := l.reads.CreateStream(ctx, cfg)
	apiErr := new(jetstream.APIError)
	switch {
	case err == nil, errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
		return err
	case errors.As(err, &apiErr) && apiErr.ErrorCode == codeSubjectsOverlap:
		return fmt.Errorf("%s: %w: another stream has its subjects %q; remove it or choose another namespace", what, events.ErrRefused, l.cfg.Subjects.All())
	default:
		return l.serverError(what, err)
	}
}

// noRoom reports whether the servers may admit a smaller stream than the one they refused.
func noRoom(err error) bool {
	apiErr := new(jetstream.APIError)
	if !errors.As(err, &apiErr) {
		return false
	}
	// A cluster tells each reason for which it found no servers, in words alone.
	return apiErr.ErrorCode == codeStorageExceeded ||
		apiErr.ErrorCode == codeNoPeers && strings.Contains(apiErr.Description, "insufficient storage")
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
// what the account admits if that is less, and why. The rest is for the checkpoints: a server makes no
// bucket where everything is reserved.
func (l *Log) admitted(ctx context.Context, want int64, copies int) (size int64, why string, err error) {
	account, err := l.reads.AccountInfo(ctx)
	if err != nil {
		return 0, "", l.readError("ask for account", err)
	}
	limits := account.Limits
	most := limits.MaxStore / int64(copies) // each copy is charged …
	if tier, ok := account.Tiers[fmt.Sprint("R", copies)]; ok {
		limits, most = tier.Limits, tier.Limits.MaxStore // … except in limits by number of copies
	}
	if share := most - most/4; most > 0 && share < want {
		want, why = share, fmt.Sprintf("the account admits %d bytes, and a quarter is for the checkpoints", most)
	}
	if one := limits.StoreMaxStreamBytes; one > 0 && one < want {
		want, why = one, fmt.Sprintf("the account admits streams of %d bytes", one)
	}
	return want, why, nil
}
