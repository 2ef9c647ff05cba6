package events

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice/crdt"
)

// EncodeEntries writes entries in the form that a block of a snapshot has before it is
// compressed.
func EncodeEntries(list []crdt.Entry) []byte {
	var out []byte
	for _, e := range list {
		out = protowire.AppendTag(out, blockEntry, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(entrySize(e)))
		out = appendEntry(out, e)
	}
	return out
}

// DecodeEntries reads what EncodeEntries wrote and checks of each entry that an event could
// carry it. The values alias data. Errors tell which entry is wrong; then none is returned.
func DecodeEntries(data []byte) ([]crdt.Entry, error) {
	var list []crdt.Entry
	err := fields(data, func(num protowire.Number, f field) error {
		if num != blockEntry {
			return nil
		}
		e, err := decodeEntry(f.bytes)
		if err == nil {
			err = checkValue(e)
		}
		list = append(list, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("decode entries: %w", err)
	}
	return list, nil
}

// checkValue refuses what no event could carry: its offer would never get into a log.
func checkValue(e crdt.Entry) error {
	if e.Deleted {
		return nil
	}
	var compact bytes.Buffer
	switch {
	case len(e.Value) > MaxEvent/2:
		return fmt.Errorf("%w: entry %q has %d bytes", errMap, e.Key, len(e.Value))
	case len(e.Value) == 0 || e.Value[0] != '{' || json.Compact(&compact, e.Value) != nil || !bytes.Equal(compact.Bytes(), e.Value):
		return fmt.Errorf("%w: the value of %q is no compact JSON object", errMap, e.Key)
	}
	return nil
}
