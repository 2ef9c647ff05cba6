// Package hlc issues the stamps of one process: hybrid logical clock readings that
// always rise, and the random identity that goes with them.
package hlc

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"
)

// nodeBit marks the identity of a process; log sequences, which stand in its place in
// the stamps of unstamped writes, have it clear.
const nodeBit = 1 << 63

// Clock issues readings: milliseconds since 1970 << 16 | counter. Every reading is
// greater than all earlier ones of the same Clock. It is safe for concurrent use.
type Clock struct {
	wall func() time.Time

	mu   sync.Mutex
	last uint64
}

// New returns a clock that reads the time from wall, in production time.Now.
func New(wall func() time.Time) *Clock { return &Clock{wall: wall} }

// Next returns max(wall<<16, last+1, floor), where last is the previous reading. Give
// as floor one more than the greatest reading that the write must follow; 0 for none.
func (c *Clock) Next(floor uint64) uint64 {
	// A wall clock before 1970 counts as 1970: as an unsigned number it would be later
	// than everything.
	wall := uint64(max(c.wall().UnixMilli(), 0)) << 16
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(wall, c.last+1, floor)
	return c.last
}

// NewNode draws the identity of a process from r, in production crypto/rand.Reader: 64
// bits of which the top one is set. It must be drawn anew at every start, since the
// clock starts anew as well.
func NewNode(r io.Reader) (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, fmt.Errorf("draw node identity: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]) | nodeBit, nil
}
