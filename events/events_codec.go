package events

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// EncodeEvents writes events one after the other, each as its length (varint) and the
// CloudEvent that a log would hold, though a value may be larger than MaxValue as long as the event
// is not larger than MaxEvent: older programs have accepted and kept such. ErrEvent.
func EncodeEvents(list []Event) ([]byte, error) {
	var out []byte
	for _, e := range list {
		data, err := e.encode()
		if err != nil {
			return nil, fmt.Errorf("encode event of %s: %w", e.Subject, err)
		}
		out = protowire.AppendBytes(out, data)
	}
	return out, nil
}

// DecodeEvents reads what EncodeEvents wrote, otherwise with all the care of DecodeEvent; every event
// has a stamp. ErrEvent, and then none is returned.
func DecodeEvents(data []byte) ([]Event, error) {
	var list []Event
	for len(data) > 0 {
		one, n := protowire.ConsumeBytes(data)
		if n < 0 {
			return nil, fmt.Errorf("decode events: %w: %w", ErrEvent, protowire.ParseError(n))
		}
		e, err := decodeEvent(one)
		if err == nil && e.Raw() {
			err = fmt.Errorf("%w: it has no stamp", ErrEvent)
		}
		if err != nil {
			return nil, fmt.Errorf("decode event %d: %w", len(list), err)
		}
		list, data = append(list, e), data[n:]
	}
	return list, nil
}
