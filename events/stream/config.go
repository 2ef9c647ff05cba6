package stream

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

// Keys and version in the stream's metadata.
const (
	metaStreamID = "sluice.stream_id"
	metaFormat   = "sluice.format"
	format       = "1"
)

// DefaultMaxBytes is the stream's size limit when none is set: 4 GiB.
const DefaultMaxBytes int64 = 4 << 30

const (
	maxMsgSize   = 256 << 10
	dedupeWindow = 10 * time.Minute
)

// ErrUnfit: a stream of our name exists that may not hold the log, because it is not ours or
// because it deletes messages.
var ErrUnfit = errors.New("the stream cannot be the log")

// Config describes the stream.
type Config struct {
	// Subjects gives its name and subjects.
	Subjects events.Subjects
	// MaxBytes limits its size when it is created; 0: DefaultMaxBytes. An account or a
	// server that admits less wins.
	MaxBytes int64
	// Replicas is the number of copies in a broker cluster when it is created; 0: one.
	Replicas int
}

func (c Config) declare(id string, maxBytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        c.Subjects.Stream(),
		Description: "Sluice: the log of namespace " + c.Subjects.Namespace,
		Subjects:    c.Subjects.All(),
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew, // full: a loud refusal, never silent loss
		MaxBytes:    maxBytes,
		MaxMsgs:     -1,
		MaxMsgSize:  maxMsgSize,
		Duplicates:  dedupeWindow,
		Replicas:    max(1, c.Replicas),
		DenyDelete:  true,
		AllowDirect: true,
		// A server that does not know batches leaves this out, and each message goes by itself.
		AllowAtomicPublish: true,
		Compression:        jetstream.S2Compression,
		Metadata:           map[string]string{metaStreamID: id, metaFormat: format},
	}
}

// check says why a stream cannot be the log; nil if it can.
func (c Config) check(s jetstream.StreamConfig) error {
	var p problems
	id, err := hex.DecodeString(s.Metadata[metaStreamID])
	p.add(err != nil || len(id) != 16, "it has no "+metaStreamID+" in its metadata, so Sluice did not create it")
	p.add(s.Metadata[metaFormat] != format, fmt.Sprintf("its %s is %.20q, this program knows %q", metaFormat, s.Metadata[metaFormat], format))
	p.add(!slices.Equal(sorted(s.Subjects), sorted(c.Subjects.All())), fmt.Sprintf("its subjects are %.200q", s.Subjects))
	p.add(s.Storage != jetstream.FileStorage, "it is not stored in files")
	p.add(s.Retention != jetstream.LimitsPolicy, "its retention drops what was consumed")
	p.add(s.Discard != jetstream.DiscardNew, "it discards old messages when it is full")
	p.add(s.MaxAge != 0, "it has a maximum age")
	p.add(s.MaxMsgs > 0, "it has a maximum number of messages")
	p.add(s.MaxMsgsPerSubject > 0, "it has a maximum number of messages per subject")
	p.add(s.AllowMsgTTL, "it allows messages that expire")
	p.add(s.AllowRollup, "it allows roll-ups")
	p.add(!s.DenyDelete, "it allows the deletion of messages")
	p.add(s.Mirror != nil || len(s.Sources) > 0, "it is a copy of another stream")
	p.add(s.PersistMode == jetstream.AsyncPersistMode, "it acknowledges before it stores")
	return p.of(s.Name, ErrUnfit)
}

// problems collects why a stream is not what it should be.
type problems []error

func (p *problems) add(wrong bool, text string) {
	if wrong {
		*p = append(*p, errors.New(text))
	}
}

// of is nil if there are none, else an error of that kind with all of them and the remedy.
func (p problems) of(stream string, kind error) error {
	if len(p) == 0 {
		return nil
	}
	return fmt.Errorf("stream %s: %w: %w; rename or remove it (nats stream rm %[1]s), or choose another namespace",
		stream, kind, errors.Join(p...))
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// newID is the identity of a new stream: 128 random bits in hex.
func newID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make stream identity: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}
