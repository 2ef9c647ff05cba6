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

// Reading is the last reading of a clock, milliseconds since 1970 << 16 | counter; zero:
// none yet. It is not safe for concurrent use.
type Reading uint64

// Next moves to max(wall<<16, previous reading + 1, floor) and returns that. Give as floor
// one more than the greatest reading that the write must follow; 0 for none.
func (r *Reading) Next(wall time.Time, floor uint64) uint64 {
	// A wall clock before 1970 counts as 1970: as an unsigned number it would be later
	// than everything.
	now := uint64(max(wall.UnixMilli(), 0)) << 16
	*r = Reading(max(now, uint64(*r)+1, floor))
	return uint64(*r)
}

// Clock issues readings, each greater than all earlier ones of the same Clock. It is safe
// for concurrent use.
type Clock struct {
	wall func() time.Time

	mu   sync.Mutex
	last Reading
}

// New returns a clock that reads the time from wall, in production time.Now.
func New(wall func() time.Time) *Clock { return &Clock{wall: wall} }

// Next is Reading.Next by the clock's wall.
func (c *Clock) Next(floor uint64) uint64 {
	wall := c.wall()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last.Next(wall, floor)
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
