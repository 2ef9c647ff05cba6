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
	// leastMaxBytes is the size below which no server is asked for a log by itself.
	leastMaxBytes int64 = 64 << 20

	maxMsgSize   = 256 << 10
	dedupeWindow = 10 * time.Minute
	// autoReplicas survive the loss of one server; mostReplicas is NATS' own limit.
	autoReplicas = 3
	mostReplicas = 5
)

// ErrUnfit: a stream of our name exists that may not hold the log, because it is not ours or
// because it deletes messages.
var ErrUnfit = errors.New("the stream cannot be the log")

// Config describes the stream.
type Config struct {
	// Subjects gives its name and subjects.
	Subjects events.Subjects
	// MaxBytes limits its size; an account that admits less wins. It counts when the stream
	// is created, and Fit gives it to one that exists. 0: DefaultMaxBytes when the stream is
	// created, or as much of it as the servers have room for, halved down to 64 MiB; Fit leaves
	// its size alone, and checkpoints that find no room take a quarter of it.
	MaxBytes int64
	// Replicas is the number of copies in a broker cluster, 1 to 5; it counts like MaxBytes.
	// 0: three where the servers can keep so many, else one; Fit raises to three and never
	// lowers.
	Replicas int
}

// maxBytes is the size of a new stream.
func (c Config) maxBytes() int64 {
	if c.MaxBytes == 0 {
		return DefaultMaxBytes
	}
	return c.MaxBytes
}

// copies are the numbers of copies that a new stream may have, the best first.
func (c Config) copies() []int {
	if c.Replicas == 0 {
		return []int{autoReplicas, 1}
	}
	return []int{c.Replicas}
}

func (c Config) validate() error {
	if err := c.Subjects.Validate(); err != nil {
		return err
	}
	if n := c.maxBytes(); n < maxMsgSize {
		return fmt.Errorf("field MaxBytes: %d bytes cannot hold one message; give it at least %d", n, maxMsgSize)
	}
	if c.Replicas < 0 || c.Replicas > mostReplicas {
		return fmt.Errorf("field Replicas: %d copies are not possible; give it 1 to %d, or 0 for as many as make sense", c.Replicas, mostReplicas)
	}
	return nil
}

func (c Config) declare(id string, maxBytes int64, copies int) jetstream.StreamConfig {
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
		Replicas:    copies,
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
