package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"sluice/events"
)

// recordHead is the size of a record's head: length and CRC-32C of what follows, 32 bits
// each, big endian. What follows are the encoded events, at least one.
const recordHead = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func record(list []events.Event) ([]byte, error) {
	body, err := events.EncodeEvents(list)
	if err != nil {
		return nil, err
	}
	return recordOf(body), nil
}

func recordOf(body []byte) []byte {
	out := make([]byte, 0, recordHead+len(body))
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(body, castagnoli))
	return append(out, body...)
}

// chunk is how many events records has in one record.
const chunk = 1000

// records is a list of any length as records. What cannot be encoded must not keep back the others:
// it is left out, and told to skip.
func records(list []events.Event, skip func(events.Event, error)) []byte {
	var out []byte
	for some := range slices.Chunk(list, chunk) {
		var body []byte
		for i := range some {
			one, err := events.EncodeEvents(some[i : i+1])
			if err != nil {
				skip(some[i], err)
			}
			body = append(body, one...)
		}
		if len(body) > 0 {
			out = append(out, recordOf(body)...)
		}
	}
	return out
}

// parse returns the events of all records, and the size of these without a torn one at the end.
func parse(data []byte) ([]events.Event, int64, error) {
	var list []events.Event
	at := 0
	for at < len(data) {
		body, whole := bodyOf(data[at:])
		if !whole && torn(data[at:]) {
			break
		}
		if !whole {
			return nil, 0, fmt.Errorf("it is damaged at byte %d of %d", at, len(data))
		}
		some, err := events.DecodeEvents(body)
		if err != nil {
			return nil, 0, fmt.Errorf("the record at byte %d of %d: %w", at, len(data), err)
		}
		list, at = append(list, some...), at+recordHead+len(body)
	}
	return list, int64(at), nil
}

// bodyOf is the body of the record that data begins with; false: that is none, or not whole.
func bodyOf(data []byte) ([]byte, bool) {
	if len(data) < recordHead {
		return nil, false
	}
	n := uint64(binary.BigEndian.Uint32(data))
	if n == 0 || n > uint64(len(data)-recordHead) {
		return nil, false
	}
	body := data[recordHead:][:n]
	return body, crc32.Checksum(body, castagnoli) == binary.BigEndian.Uint32(data[4:])
}

// torn reports whether data, which does not begin with a whole record, is what a crash can
// leave of the last one: a part, zeros, or all of its length. What has anything behind it was
// on disk when that was written.
func torn(data []byte) bool {
	if len(data) < recordHead || len(bytes.Trim(data, "\x00")) == 0 {
		return true
	}
	switch end := recordHead + uint64(binary.BigEndian.Uint32(data)); {
	case end == uint64(len(data)):
		return true
	case end < uint64(len(data)):
		return false
	}
	for i := range data[1:] { // is it the length that is damaged?
		if _, whole := bodyOf(data[1+i:]); whole {
			return false
		}
	}
	return true
}
