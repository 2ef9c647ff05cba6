package events

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// snapshotMagic begins every snapshot; its last byte is the version of the format.
const snapshotMagic = "sluice\x00\x01"

// Fields of a snapshot and of its parameters (README, "Snapshot").
const (
	snapNamespace  = 1
	snapTaken      = 2
	snapStream     = 3
	snapParams     = 4
	snapRef        = 5
	snapAnchorSeq  = 6
	snapAnchorTime = 7
	snapAnchorHash = 8
	snapMap        = 9

	paramVersion = 1
	paramR       = 2
	paramF       = 3
	paramN       = 4
)

// ErrSnapshotVersion: the snapshot was written by a version of the program with another
// format.
var ErrSnapshotVersion = errors.New("unknown snapshot version")

// Snapshot is a State that is kept outside the log.
type Snapshot struct {
	Namespace string
	// Taken is when it was written, for people; it has nanoseconds.
	Taken time.Time
	State *State
}

// Encode writes the snapshot: magic, SHA-256, protobuf message. Equal snapshots become
// equal bytes.
func (s Snapshot) Encode() ([]byte, error) {
	st := s.State
	if st == nil {
		return nil, errors.New("encode snapshot: it has no state")
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	taken := int64(0)
	if !s.Taken.IsZero() {
		taken = s.Taken.UnixNano()
	}
	if taken < 0 || st.Anchor.Time < 0 {
		return nil, errors.New("encode snapshot: a time before 1970")
	}
	entries := encodeMap(st.Map)
	out := make([]byte, 0, len(entries)+512)
	out = append(out, snapshotMagic...)
	out = append(out, make([]byte, sha256.Size)...)
	head := len(out)
	out = appendBytes(out, snapNamespace, []byte(s.Namespace))
	out = appendNumber(out, snapTaken, uint64(taken))
	out = appendBytes(out, snapStream, []byte(st.StreamID))
	out = appendBytes(out, snapParams, encodeParams(st.Params))
	out = appendNumber(out, snapRef, st.Ref)
	out = appendNumber(out, snapAnchorSeq, st.Anchor.Seq)
	out = appendNumber(out, snapAnchorTime, uint64(st.Anchor.Time))
	out = appendBytes(out, snapAnchorHash, st.Anchor.Hash[:])
	out = appendBytes(out, snapMap, entries)
	sum := sha256.Sum256(out[head:])
	copy(out[len(snapshotMagic):], sum[:])
	return out, nil
}

func encodeParams(p Params) []byte {
	b := appendNumber(nil, paramVersion, uint64(p.Version))
	b = appendNumber(b, paramR, uint64(p.R.Milliseconds()))
	b = appendNumber(b, paramF, uint64(p.F.Milliseconds()))
	return appendNumber(b, paramN, p.N)
}

func appendNumber(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

// DecodeSnapshot reads what Encode wrote. It allocates in proportion to what it has
// checked, skips fields that it does not know, and refuses anything else with
// ErrCorruptSnapshot or ErrSnapshotVersion. The state aliases memory of data's size.
func DecodeSnapshot(data []byte) (Snapshot, error) {
	version := len(snapshotMagic) - 1
	if len(data) < len(snapshotMagic)+sha256.Size || string(data[:version]) != snapshotMagic[:version] {
		return Snapshot{}, fmt.Errorf("decode snapshot: %w: not a snapshot", ErrCorruptSnapshot)
	}
	if data[version] != snapshotMagic[version] {
		return Snapshot{}, fmt.Errorf("decode snapshot: %w %d", ErrSnapshotVersion, data[version])
	}
	body := data[len(snapshotMagic)+sha256.Size:]
	if sum := sha256.Sum256(body); string(sum[:]) != string(data[len(snapshotMagic):len(data)-len(body)]) {
		return Snapshot{}, fmt.Errorf("decode snapshot: %w: bad checksum", ErrCorruptSnapshot)
	}
	s := Snapshot{State: &State{}}
	if err := fields(body, s.field); err != nil {
		return Snapshot{}, fmt.Errorf("decode snapshot: %w: %w", ErrCorruptSnapshot, err)
	}
	if err := s.check(); err != nil {
		return Snapshot{}, fmt.Errorf("decode snapshot: %w: %w", ErrCorruptSnapshot, err)
	}
	return s, nil
}

// field takes in one field of the message.
func (s *Snapshot) field(num protowire.Number, f field) error {
	st := s.State
	ok := true
	var err error
	switch num {
	case snapNamespace:
		s.Namespace = string(f.bytes)
	case snapTaken:
		var ns int64
		if ns, ok = signed(f.number); ns != 0 {
			s.Taken = time.Unix(0, ns).UTC()
		}
	case snapStream:
		st.StreamID = string(f.bytes)
	case snapParams:
		st.Params, err = decodeParams(f.bytes)
	case snapRef:
		st.Ref, ok = f.number, f.number < maxRef
	case snapAnchorSeq:
		st.Anchor.Seq = f.number
	case snapAnchorTime:
		st.Anchor.Time, ok = signed(f.number)
	case snapAnchorHash:
		ok = copy(st.Anchor.Hash[:], f.bytes) == len(st.Anchor.Hash) && len(f.bytes) == len(st.Anchor.Hash)
	case snapMap:
		if st.Map != nil {
			return errors.New("two maps")
		}
		st.Map, err = decodeMap(f.bytes)
	}
	if !ok {
		err = fmt.Errorf("field %d is out of range", num)
	}
	return err
}

func decodeParams(data []byte) (Params, error) {
	var d genesisData
	known := true
	err := fields(data, func(num protowire.Number, f field) error {
		switch num {
		case paramVersion:
			d.Version, known = int(f.number), f.number <= math.MaxInt16
		case paramR:
			d.R = f.number
		case paramF:
			d.F = f.number
		case paramN:
			d.N = f.number
		}
		return nil
	})
	if err != nil {
		return Params{}, err
	}
	p, ok := d.params()
	if !ok || !known {
		return Params{}, errors.New("fold parameters out of range")
	}
	return p, nil
}

// check refuses a message that lacks what a fold needs.
func (s Snapshot) check() error {
	st := s.State
	switch {
	case s.Namespace == "":
		return errors.New("no namespace")
	case st.Map == nil:
		return errors.New("no map")
	case !st.Params.valid():
		return errors.New("no fold parameters")
	default:
		return nil
	}
}
