package events

import (
	"errors"
	"fmt"
	"math"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"sluice/crdt"
)

// Fields of an encoded map, of its blocks and of their entries (README, "Snapshot").
const (
	mapCount  = 1
	mapDigest = 2
	mapBlock  = 3

	blockEntry = 1

	entryKey     = 1
	entryHLC     = 2
	entryNode    = 3
	entryDeleted = 4
	entryValue   = 5
)

const (
	// blockBytes is where a block ends before compression.
	blockBytes = 1 << 20
	// maxBlock is what a decoder accepts: a block and one entry more.
	maxBlock = blockBytes + 2*MaxEvent
	// maxMapBytes bounds a whole map once decompressed.
	maxMapBytes = 1 << 30
)

// errMap says that bytes are no encoded map.
var errMap = errors.New("invalid map")

// encodeMap writes the entries in order of their keys, so that equal maps become equal
// bytes. Blocks are compressed one by one: a decoder never has to trust one great length.
func encodeMap(m *crdt.Map) []byte {
	out := protowire.AppendTag(nil, mapCount, protowire.VarintType)
	out = protowire.AppendVarint(out, uint64(m.Len()))
	out = protowire.AppendTag(out, mapDigest, protowire.Fixed64Type)
	out = protowire.AppendFixed64(out, m.Digest())
	room := min(mapSize(m), maxBlock)
	block := make([]byte, 0, room)
	packed := make([]byte, s2.MaxEncodedLen(room))
	flush := func() {
		if len(block) > 0 {
			out = protowire.AppendTag(out, mapBlock, protowire.BytesType)
			out = protowire.AppendBytes(out, s2.Encode(packed, block))
			block = block[:0]
		}
	}
	for _, e := range m.Sorted() {
		if len(block)+entrySize(e)+16 > blockBytes {
			flush()
		}
		block = protowire.AppendTag(block, blockEntry, protowire.BytesType)
		block = protowire.AppendVarint(block, uint64(entrySize(e)))
		block = appendEntry(block, e)
	}
	flush()
	return out
}

// mapSize is at least the length of the entries of m in a block.
func mapSize(m *crdt.Map) int {
	n := 0
	for e := range m.All() {
		n += entrySize(e) + 16
	}
	return n
}

// entrySize is the length of what appendEntry appends.
func entrySize(e crdt.Entry) int {
	n := 1 + protowire.SizeBytes(len(e.Key)) + 2*(1+8)
	if e.Deleted {
		n += 2
	}
	if len(e.Value) > 0 {
		n += 1 + protowire.SizeBytes(len(e.Value))
	}
	return n
}

func appendEntry(b []byte, e crdt.Entry) []byte {
	b = protowire.AppendTag(b, entryKey, protowire.BytesType)
	b = protowire.AppendString(b, e.Key)
	b = protowire.AppendTag(b, entryHLC, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, e.Stamp.HLC)
	b = protowire.AppendTag(b, entryNode, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, e.Stamp.Node)
	if e.Deleted {
		b = protowire.AppendTag(b, entryDeleted, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
	}
	if len(e.Value) > 0 {
		b = protowire.AppendTag(b, entryValue, protowire.BytesType)
		b = protowire.AppendBytes(b, e.Value)
	}
	return b
}

// decodeMap reads what encodeMap wrote; its error wraps errMap. Values alias memory of
// their block.
func decodeMap(data []byte) (*crdt.Map, error) {
	m := crdt.NewMap()
	var count, digest uint64
	total := 0
	err := fields(data, func(num protowire.Number, f field) error {
		switch num {
		case mapCount:
			count = f.number
		case mapDigest:
			digest = f.number
		case mapBlock:
			n, err := decodeBlock(m, f.bytes)
			if total += n; err == nil && total > maxMapBytes {
				err = fmt.Errorf("%w: more than %d bytes", errMap, maxMapBytes)
			}
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if uint64(m.Len()) != count || m.Digest() != digest {
		return nil, fmt.Errorf("%w: %d entries with digest %016x, announced are %d with %016x",
			errMap, m.Len(), m.Digest(), count, digest)
	}
	return m, nil
}

// decodeBlock merges the entries of a block into m and returns its decompressed length.
func decodeBlock(m *crdt.Map, packed []byte) (int, error) {
	size, err := s2.DecodedLen(packed)
	if err != nil || size > maxBlock {
		return 0, fmt.Errorf("%w: bad block length", errMap)
	}
	raw, err := s2.Decode(nil, packed)
	if err != nil {
		return 0, fmt.Errorf("%w: decompress block: %w", errMap, err)
	}
	err = fields(raw, func(num protowire.Number, f field) error {
		if num != blockEntry {
			return nil
		}
		e, err := decodeEntry(f.bytes)
		if err != nil {
			return err
		}
		if _, twice := m.Get(e.Key); twice {
			return fmt.Errorf("%w: key %q stands twice", errMap, e.Key)
		}
		m.Merge(e)
		return nil
	})
	return len(raw), err
}

func decodeEntry(data []byte) (crdt.Entry, error) {
	var e crdt.Entry
	err := fields(data, func(num protowire.Number, f field) error {
		switch num {
		case entryKey:
			e.Key = string(f.bytes)
		case entryHLC:
			e.Stamp.HLC = f.number
		case entryNode:
			e.Stamp.Node = f.number
		case entryDeleted:
			e.Deleted = f.number != 0
		case entryValue:
			e.Value = f.bytes
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	if err := CheckKey(e.Key); err != nil {
		return e, fmt.Errorf("%w: %w", errMap, err)
	}
	if e.Stamp.Node == 0 || e.Deleted && len(e.Value) > 0 {
		return e, fmt.Errorf("%w: entry %q is inconsistent", errMap, e.Key)
	}
	return e, nil
}

// field is the value of one field of a protobuf message: number for numeric types,
// bytes for length-delimited ones, the other one is zero.
type field struct {
	number uint64
	bytes  []byte
}

// fields calls visit for every field of a message; unknown ones are for visit to skip.
func fields(data []byte, visit func(protowire.Number, field) error) error {
	for len(data) > 0 {
		num, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("%w: %w", errMap, protowire.ParseError(n))
		}
		data = data[n:]
		var f field
		switch kind {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			f.number, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
			f.bytes = f.bytes[:len(f.bytes):len(f.bytes)]
		default:
			n = protowire.ConsumeFieldValue(num, kind, data)
		}
		if n < 0 {
			return fmt.Errorf("%w: field %d: %w", errMap, num, protowire.ParseError(n))
		}
		if err := visit(num, f); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// signed turns a varint back into the number it was written from.
func signed(v uint64) (int64, bool) { return int64(v), v <= math.MaxInt64 }
