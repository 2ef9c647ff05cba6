// Package stream is the log as a NATS JetStream stream: declared once by whoever comes
// first, appended to with one message id per message, read back and followed in order.
package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

var _ events.Log = (*Log)(nil)

// requestTimeout bounds one question to the server.
const requestTimeout = 3 * time.Second

// Log is the stream of one namespace. Safe for concurrent use.
type Log struct {
	conn   *Conn
	cfg    Config
	reads  jetstream.JetStream
	writes jetstream.JetStream
	group  group
	// batches: the stream takes them.
	batches atomic.Bool

	mu     sync.Mutex
	handle jetstream.Stream // only for requests that do not depend on its cached state
}

// New returns the log on conn; it does not talk to the server yet.
func New(conn *Conn, cfg Config) (*Log, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure log: %w", err)
	}
	reads, err := jetstream.New(conn.reads)
	if err != nil {
		return nil, fmt.Errorf("configure log: %w", err)
	}
	writes, err := jetstream.New(conn.writes)
	if err != nil {
		return nil, fmt.Errorf("configure log: %w", err)
	}
	return &Log{conn: conn, cfg: cfg, reads: reads, writes: writes}, nil
}

// Connected reports whether the server can be asked now.
func (l *Log) Connected() bool { return l.conn.Connected() }

// Changed returns the channel that is closed when the connection is lost or restored next.
func (l *Log) Changed() <-chan struct{} { return l.conn.Changed() }

// Info asks for identity and bounds. ErrUnavailable, ErrNoLog, ErrUnfit.
func (l *Log) Info(ctx context.Context) (events.LogInfo, error) {
	si, err := l.info(ctx)
	if err != nil {
		return events.LogInfo{}, err
	}
	if err := l.cfg.check(si.Config); err != nil {
		return events.LogInfo{}, err
	}
	l.batches.Store(si.Config.AllowAtomicPublish)
	first := si.State.FirstSeq
	if si.State.Msgs == 0 {
		first = si.State.LastSeq + 1
	}
	return events.LogInfo{
		StreamID: si.Config.Metadata[metaStreamID],
		First:    first,
		Last:     si.State.LastSeq,
		Bytes:    si.State.Bytes,
		MaxBytes: uint64(max(0, si.Config.MaxBytes)),
	}, nil
}

func (l *Log) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := l.stream(ctx)
	if err != nil {
		return nil, l.readError("ask for stream", err)
	}
	si, err := s.Info(ctx)
	if err != nil {
		return nil, l.readError("ask for stream", err)
	}
	return si, nil
}

// stream returns the handle for requests by name. It is kept: it costs a request to get one.
func (l *Log) stream(ctx context.Context) (jetstream.Stream, error) {
	l.mu.Lock()
	s := l.handle
	l.mu.Unlock()
	if s != nil {
		return s, nil
	}
	if !l.conn.reads.IsConnected() {
		return nil, nats.ErrDisconnected
	}
	s, err := l.reads.Stream(ctx, l.cfg.Subjects.Stream())
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.handle = s
	l.mu.Unlock()
	return s, nil
}

// Get reads one message, from any copy of the stream, so also without a quorum.
// ErrUnavailable, ErrNoMessage, ErrNoLog.
func (l *Log) Get(ctx context.Context, seq uint64) (events.Message, error) {
	m, err := l.get(ctx, seq, "")
	switch {
	case err == nil:
		return events.Message{Seq: m.Sequence, Time: m.Time.UTC(), Subject: m.Subject, Data: m.Data}, nil
	case !errors.Is(err, events.ErrNoMessage):
		return events.Message{}, err
	}
	// A copy that lags says "not found" of what exists. Nothing is ever deleted from the
	// middle, so the bounds tell.
	info, infoErr := l.Info(ctx)
	if infoErr != nil {
		return events.Message{}, infoErr
	}
	if info.First <= seq && seq <= info.Last {
		return events.Message{}, fmt.Errorf("read message %d: %w: the copy that answered lags", seq, events.ErrUnavailable)
	}
	return events.Message{}, err
}

// get reads the message at seq or, with a subject, the first one of it at or after seq.
func (l *Log) get(ctx context.Context, seq uint64, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	what := fmt.Sprintf("read message %d", seq)
	s, err := l.stream(ctx)
	if err != nil {
		return nil, l.readError(what, err)
	}
	var opts []jetstream.GetMsgOpt
	if subject != "" {
		opts = append(opts, jetstream.WithGetMsgSubject(subject))
	}
	m, err := s.GetMsg(ctx, seq, opts...)
	if err != nil {
		return nil, l.readErrorOrNoLog(ctx, what, err)
	}
	return m, nil
}

// LastOf is the last sequence stored under subject, 0 for none. ErrUnavailable, ErrNoLog.
func (l *Log) LastOf(ctx context.Context, subject string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	const what = "read last message of subject"
	s, err := l.stream(ctx)
	if err != nil {
		return 0, l.readError(what, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if err == nil {
		return m.Sequence, nil
	}
	if err = l.readErrorOrNoLog(ctx, what, err); errors.Is(err, events.ErrNoMessage) {
		return 0, nil
	}
	return 0, err
}

// readErrorOrNoLog tells a stream that is gone from one that nobody can ask: to a direct get
// both are silence.
func (l *Log) readErrorOrNoLog(ctx context.Context, what string, err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		if _, infoErr := l.info(ctx); errors.Is(infoErr, events.ErrNoLog) {
			return infoErr
		}
	}
	return l.readError(what, err)
}

// serverError sorts what a request that changes something returned: what the server refused
// stays refused, anything else may do later.
func (l *Log) serverError(what string, err error) error {
	apiErr := new(jetstream.APIError)
	switch {
	case !errors.As(err, &apiErr):
		return l.readError(what, err)
	case apiErr.ErrorCode == codeStorageExceeded, apiErr.ErrorCode == codeStoreFailed:
		return fmt.Errorf("%s: %w: %w; raise the store limit of server (--max-store of sluice broker, max_file_store of NATS) and account, or set a smaller log (MaxBytes, --log-size)", what, events.ErrRefused, err)
	case apiErr.ErrorCode == codeNotClustered, apiErr.ErrorCode == codeNoPeers:
		return fmt.Errorf("%s: %w: %w; start more servers, or ask for fewer copies (Replicas)", what, events.ErrRefused, err)
	case apiErr.Code >= 500, apiErr.Code == 404, apiErr.Code == 429:
		return l.readError(what, err)
	default:
		return fmt.Errorf("%s: %w: %w", what, events.ErrRefused, err)
	}
}

// readError sorts what a reading request returned.
func (l *Log) readError(what string, err error) error {
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%s %s: %w", what, l.cfg.Subjects.Stream(), events.ErrNoLog)
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return fmt.Errorf("%s: %w", what, events.ErrNoMessage)
	default:
		return fmt.Errorf("%s: %w: %w", what, events.ErrUnavailable, err)
	}
}
