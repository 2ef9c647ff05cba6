package stream

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

// Keys of a checkpoint's metadata, with metaNamespace, metaFormat and metaStreamID.
const (
	metaAnchorSeq  = "sluice.anchor_seq"
	metaAnchorTime = "sluice.anchor_time"
	metaAnchorHash = "sluice.anchor_hash"
	metaTaken      = "sluice.taken"
)

// takenInName has a fixed width, so that names sort by sequence and then by time.
const takenInName = "20060102T150405.000000000Z"

// describe makes the object's name and metadata, all that a list tells.
func describe(s events.Snapshot) jetstream.ObjectMeta {
	anchor := s.State.Anchor
	taken := s.Taken.UTC()
	return jetstream.ObjectMeta{
		Name: fmt.Sprintf("%020d-%s", anchor.Seq, taken.Format(takenInName)),
		Metadata: map[string]string{
			metaNamespace:  s.Namespace,
			metaFormat:     format,
			metaStreamID:   s.State.StreamID,
			metaAnchorSeq:  strconv.FormatUint(anchor.Seq, 10),
			metaAnchorTime: strconv.FormatInt(anchor.Time, 10),
			metaAnchorHash: hex.EncodeToString(anchor.Hash[:]),
			metaTaken:      taken.Format(time.RFC3339Nano),
		},
	}
}

// checkpoint reads what describe wrote. With an error it is what is known without the
// metadata: no stream identity, no anchor, and the time at which the object was stored.
func (c Config) checkpoint(o *jetstream.ObjectInfo) (events.Checkpoint, error) {
	plain := events.Checkpoint{Name: o.Name, Taken: o.ModTime.UTC(), Bytes: o.Size}
	known := plain
	known.StreamID = o.Metadata[metaStreamID]
	var problems []error
	check := func(key string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("its %s is %.60q", key, o.Metadata[key]))
		}
	}
	var err error
	check(metaNamespace, same(o.Metadata[metaNamespace], c.Subjects.Namespace))
	check(metaFormat, same(o.Metadata[metaFormat], format))
	if known.StreamID == "" {
		check(metaStreamID, errors.New("is missing"))
	}
	known.Anchor.Seq, err = strconv.ParseUint(o.Metadata[metaAnchorSeq], 10, 64)
	check(metaAnchorSeq, err)
	known.Anchor.Time, err = strconv.ParseInt(o.Metadata[metaAnchorTime], 10, 64)
	check(metaAnchorTime, err)
	check(metaAnchorHash, decodeHash(&known.Anchor, o.Metadata[metaAnchorHash]))
	known.Taken, err = time.Parse(time.RFC3339Nano, o.Metadata[metaTaken])
	check(metaTaken, err)
	if len(problems) > 0 {
		return plain, fmt.Errorf("metadata of checkpoint %.100q: %w", o.Name, errors.Join(problems...))
	}
	return known, nil
}

func same(got, want string) error {
	if got != want {
		return errors.New("is another")
	}
	return nil
}

func decodeHash(a *events.Anchor, text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(a.Hash) {
		return errors.New("is not a hash")
	}
	copy(a.Hash[:], b)
	return nil
}
