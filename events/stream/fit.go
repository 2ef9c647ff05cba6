package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

// Fit gives the existing stream the size and the number of copies of the configuration, and the
// archive's buckets as many copies as the stream. Nothing else is changed. It is for once after
// Open; several replicas may do it at the same moment.
//
// Without MaxBytes the size stays. Without Replicas the copies are raised to three; that the
// servers cannot do so now is no error, and nothing is ever lowered.
//
// events.ErrRefused: the stream holds more than MaxBytes, or the servers say no. ErrUnavailable
// (perhaps done), ErrNoLog, ErrUnfit.
func (l *Log) Fit(ctx context.Context) error {
	si, err := l.info(ctx)
	if err == nil {
		err = l.cfg.check(si.Config)
	}
	if err != nil {
		return fmt.Errorf("fit log: %w", err)
	}
	if err := l.fitSize(ctx, si); err != nil {
		return fmt.Errorf("fit log: %w", err)
	}
	if err := l.fitCopies(ctx); err != nil {
		return fmt.Errorf("fit log: %w", err)
	}
	return nil
}

func (l *Log) fitSize(ctx context.Context, si *jetstream.StreamInfo) error {
	if l.cfg.MaxBytes == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	want, _, err := l.admitted(ctx, l.cfg.MaxBytes, si.Config.Replicas)
	if err != nil || want == si.Config.MaxBytes {
		return err
	}
	return l.resize(ctx, si, want)
}

// resize gives the log's stream another size, unless it holds more.
func (l *Log) resize(ctx context.Context, si *jetstream.StreamInfo, want int64) error {
	cfg := si.Config
	if held := si.State.Bytes; uint64(want) < held {
		return fmt.Errorf("MaxBytes: %w: stream %s holds %d bytes, more than %d; give it more, or let it be trimmed first",
			events.ErrRefused, cfg.Name, held, want)
	}
	was := cfg.MaxBytes
	cfg.MaxBytes = want
	if _, err := l.reads.UpdateStream(ctx, cfg); err != nil {
		return l.serverError(fmt.Sprintf("change size of stream %s from %d to %d bytes", cfg.Name, was, want), err)
	}
	l.conn.log.Info().Str("stream", cfg.Name).Int64("from", was).Int64("to", want).Msg("log has another size")
	return nil
}

// fitCopies changes the log's stream first: the buckets follow what it has then.
func (l *Log) fitCopies(ctx context.Context) error {
	automatic := l.cfg.Replicas == 0
	want := l.cfg.copies()[0]
	got, err := l.copy(ctx, l.cfg.Subjects.Stream(), want, automatic)
	if err != nil {
		return err
	}
	for _, name := range []string{fmt.Sprintf(objectStream, l.cfg.checkpointBucket()), fmt.Sprintf(kvStream, l.cfg.leaseBucket())} {
		if _, err := l.copy(ctx, name, got, automatic); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
	return nil
}

// copy gives a stream that is ours so many copies and returns how many it has; automatic: if
// the servers can, and never fewer. jetstream.ErrStreamNotFound.
func (l *Log) copy(ctx context.Context, name string, want int, automatic bool) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	s, err := l.reads.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, fmt.Errorf("ask for stream %s: %w", name, err)
	}
	if err != nil {
		return 0, l.readError("ask for stream "+name, err)
	}
	cfg := s.CachedInfo().Config
	was := cfg.Replicas
	if was == want || automatic && was > want || !l.owns(cfg) {
		return was, nil
	}
	cfg.Replicas = want
	_, err = l.reads.UpdateStream(ctx, cfg)
	switch {
	case err == nil:
		l.conn.log.Info().Str("stream", name).Int("from", was).Int("to", want).Msg("stream has another number of copies")
		return want, nil
	case automatic && tooManyCopies(err):
		l.conn.log.Debug().Err(err).Str("stream", name).Int("copies", was).Msg("stream keeps its number of copies")
		return was, nil
	default:
		return was, l.serverError(fmt.Sprintf("change copies of stream %s from %d to %d", name, was, want), err)
	}
}

// owns reports whether a stream is the log or one of its buckets; what is not is left alone.
func (l *Log) owns(s jetstream.StreamConfig) bool {
	return l.cfg.check(s) == nil || l.cfg.checkObjects(s) == nil || l.cfg.checkLeases(s) == nil
}
