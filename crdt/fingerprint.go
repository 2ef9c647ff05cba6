package crdt

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// Fingerprint is a 64-bit hash over key, stamp, deletion mark and value: the part of an
// entry in Map.Digest. It is meant against accidents, not against forgers.
//
// It is XXH3-64 of 49 bytes: XXH3-128 of the key, HLC, node (big endian), 1 for a
// tombstone, XXH3-128 of the value. Hashing key and value apart needs neither a copy
// nor a separator.
func (e Entry) Fingerprint() uint64 {
	var b [49]byte
	key := xxh3.HashString128(e.Key).Bytes()
	value := xxh3.Hash128(e.Value).Bytes()
	copy(b[0:], key[:])
	binary.BigEndian.PutUint64(b[16:], e.Stamp.HLC)
	binary.BigEndian.PutUint64(b[24:], e.Stamp.Node)
	if e.Deleted {
		b[32] = 1
	}
	copy(b[33:], value[:])
	return xxh3.Hash(b[:])
}
