package sim_test

import (
	"encoding/binary"
	"fmt"

	"sluice/crdt"
	"sluice/events"
)

// codec turns entries into messages. The real form costs more than everything else in a run,
// so most runs number their events instead; the others use the real one.
type codec struct {
	real   bool
	events []events.Event
	raws   int // that have an id
}

func (c *codec) encode(e crdt.Entry) []byte {
	if !c.real {
		if c.events == nil {
			c.events = make([]events.Event, 0, 64)
		}
		c.events = append(c.events, events.Event{Source: "sim", Subject: e.Key, Stamp: e.Stamp, Deleted: e.Deleted, Data: e.Value})
		return binary.BigEndian.AppendUint32(nil, uint32(len(c.events)-1))
	}
	ev := events.EntryEvent("sim", e)
	if c.raws++; ev.Raw() {
		ev.ID = fmt.Sprintf("raw-%d", c.raws)
	}
	data, err := ev.Encode()
	if err != nil {
		panic(err)
	}
	return data
}

func (c *codec) decode(data []byte) (events.Event, error) {
	if c.real {
		return events.DecodeEvent(data)
	}
	if len(data) != 4 {
		return events.Event{}, events.ErrEvent
	}
	return c.events[binary.BigEndian.Uint32(data)], nil
}
