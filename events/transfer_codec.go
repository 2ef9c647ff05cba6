package events

import (
	"encoding/binary"
	"fmt"
)

// anchorBytes is the size of an encoded anchor: sequence, time, hash.
const anchorBytes = 8 + 8 + 16

// maxTrail bounds the anchors of a transfer: those of an hour of changes at full speed.
const maxTrail = 4 << 20

// EncodeTransfer writes a whole state with its trail: the number of anchors (32 bits, big
// endian), the anchors (sequence, nanoseconds, hash), and a snapshot.
func EncodeTransfer(namespace string, t Transfer) ([]byte, error) {
	snap, err := Snapshot{Namespace: namespace, State: t.State}.Encode()
	if err != nil {
		return nil, err
	}
	if len(t.Trail) > maxTrail {
		return nil, fmt.Errorf("encode transfer: %d anchors, at most %d are possible", len(t.Trail), maxTrail)
	}
	out := make([]byte, 0, 4+len(t.Trail)*anchorBytes+len(snap))
	out = binary.BigEndian.AppendUint32(out, uint32(len(t.Trail)))
	for _, a := range t.Trail {
		out = binary.BigEndian.AppendUint64(out, a.Seq)
		out = binary.BigEndian.AppendUint64(out, uint64(a.Time))
		out = append(out, a.Hash[:]...)
	}
	return append(out, snap...), nil
}

// DecodeTransfer reads what EncodeTransfer wrote. The state aliases memory of data's size.
// Errors: those of DecodeSnapshot, ErrForeignSnapshot, ErrCorruptSnapshot.
func DecodeTransfer(namespace string, data []byte) (Transfer, error) {
	if len(data) < 4 {
		return Transfer{}, fmt.Errorf("decode transfer: %w", ErrCorruptSnapshot)
	}
	n := int(binary.BigEndian.Uint32(data))
	if n > maxTrail || len(data)-4 < n*anchorBytes {
		return Transfer{}, fmt.Errorf("decode transfer: %w: bad number of anchors", ErrCorruptSnapshot)
	}
	var t Transfer
	for rest := data[4:][:n*anchorBytes]; len(rest) > 0; rest = rest[anchorBytes:] {
		a := Anchor{Seq: binary.BigEndian.Uint64(rest), Time: int64(binary.BigEndian.Uint64(rest[8:]))}
		copy(a.Hash[:], rest[16:])
		t.Trail = append(t.Trail, a)
	}
	snap, err := DecodeSnapshot(data[4+n*anchorBytes:])
	if err != nil {
		return Transfer{}, err
	}
	t.State = snap.State
	switch {
	case snap.Namespace != namespace:
		return Transfer{}, fmt.Errorf("decode transfer: %w: it is of %q", ErrForeignSnapshot, snap.Namespace)
	case !t.Consistent():
		return Transfer{}, fmt.Errorf("decode transfer: %w: the anchors do not lead to the state", ErrCorruptSnapshot)
	}
	return t, nil
}
