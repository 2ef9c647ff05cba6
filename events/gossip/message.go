package gossip

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"sluice/crdt"
	"sluice/events"
)

const (
	// maxPage bounds what one message carries of events, keys or a state: 384 KiB, so that no
	// message reaches 512 KiB.
	maxPage = 384 << 10
	// maxMessage is what is read.
	maxMessage = 512 << 10
)

// What one replica asks of another, and the answer's fields that belong to it.
const (
	opCompare = "compare" // Position, Digest; unless the digests are equal, Marks after After and More
	opFetch   = "fetch"   // Keys: Events of them, of the first ones if it would be too much
	opPush    = "push"    // Events: nothing
	opState   = "state"   // nothing: ID and Size of the whole state, or Busy, or Size 0
	opRead    = "read"    // ID, Offset: Data
	opDone    = "done"    // ID: nothing
)

// request is one question; the README has the table of the fields.
type request struct {
	Op       string   `cbor:"1,keyasint"`
	Name     string   `cbor:"2,keyasint,omitempty"`
	Position position `cbor:"3,keyasint,omitempty"`
	Digest   uint64   `cbor:"4,keyasint,omitempty"`
	After    string   `cbor:"5,keyasint,omitempty"`
	Keys     []string `cbor:"6,keyasint,omitempty"`
	Events   []byte   `cbor:"7,keyasint,omitempty"`
	ID       uint64   `cbor:"8,keyasint,omitempty"`
	Offset   int      `cbor:"9,keyasint,omitempty"`
}

type response struct {
	Position position `cbor:"1,keyasint,omitempty"`
	Digest   uint64   `cbor:"2,keyasint,omitempty"`
	Marks    []mark   `cbor:"3,keyasint,omitempty"`
	More     bool     `cbor:"4,keyasint,omitempty"`
	Events   []byte   `cbor:"5,keyasint,omitempty"`
	ID       uint64   `cbor:"6,keyasint,omitempty"`
	Size     int      `cbor:"7,keyasint,omitempty"`
	Busy     bool     `cbor:"8,keyasint,omitempty"`
	Data     []byte   `cbor:"9,keyasint,omitempty"`
	Error    string   `cbor:"10,keyasint,omitempty"`
}

// position is events.Position.
type position struct {
	StreamID string `cbor:"1,keyasint,omitempty"`
	Seq      uint64 `cbor:"2,keyasint,omitempty"`
	Time     int64  `cbor:"3,keyasint,omitempty"`
	Hash     []byte `cbor:"4,keyasint,omitempty"`
	Digest   uint64 `cbor:"5,keyasint,omitempty"`
}

func newPosition(p events.Position) position {
	return position{p.StreamID, p.Anchor.Seq, p.Anchor.Time, p.Anchor.Hash[:], p.Digest}
}

func (p position) value() events.Position {
	out := events.Position{StreamID: p.StreamID, Anchor: events.Anchor{Seq: p.Seq, Time: p.Time}, Digest: p.Digest}
	copy(out.Anchor.Hash[:], p.Hash)
	return out
}

// mark tells which entry of a key a replica has, without its value.
type mark struct {
	Key   string `cbor:"1,keyasint"`
	HLC   uint64 `cbor:"2,keyasint"`
	Node  uint64 `cbor:"3,keyasint"`
	Print uint64 `cbor:"4,keyasint"`
}

func newMark(e events.Event) mark {
	return mark{e.Subject, e.Stamp.HLC, e.Stamp.Node, e.Entry().Fingerprint()}
}

// older reports whether the mark is of an older or another write than e. Two writes with one
// stamp are not made by anybody whose node is random; then both are exchanged and the map decides.
func (m mark) older(e events.Event) bool {
	c := m.stamp().Compare(e.Stamp)
	return c < 0 || c == 0 && m.Print != e.Entry().Fingerprint()
}

func (m mark) newer(e events.Event) bool {
	c := m.stamp().Compare(e.Stamp)
	return c > 0 || c == 0 && m.Print != e.Entry().Fingerprint()
}

func (m mark) stamp() crdt.Stamp { return crdt.Stamp{HLC: m.HLC, Node: m.Node} }

var errMessage = errors.New("not a message of a replica")

// limits keep a message from claiming more than it can hold.
func limits() (cbor.DecMode, error) {
	return cbor.DecOptions{MaxArrayElements: 16 << 10, MaxMapPairs: 64, MaxNestedLevels: 8, DupMapKey: cbor.DupMapKeyEnforcedAPF}.DecMode()
}

func unmarshal(data []byte, v any) error {
	if len(data) > maxMessage {
		return fmt.Errorf("%w: %d bytes", errMessage, len(data))
	}
	mode, err := limits()
	if err != nil {
		return err
	}
	if err := mode.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", errMessage, err)
	}
	return nil
}

// page encodes events of list until the page is full, and returns how many it is done with. What
// cannot be encoded must not keep back the others: it is left out, and told to skip. An event is never
// larger than a page.
func page(list []events.Event, skip func(events.Event, error)) ([]byte, int) {
	var out []byte
	for n := range list {
		one, err := events.EncodeEvents(list[n : n+1])
		if err != nil {
			skip(list[n], err)
			continue
		}
		if len(out) > 0 && len(out)+len(one) > maxPage {
			return out, n
		}
		out = append(out, one...)
	}
	return out, len(list)
}
