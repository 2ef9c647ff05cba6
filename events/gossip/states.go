package gossip

import (
	"fmt"
	"sync"
	"time"

	"sluice/events"
)

const (
	// mostTransfers is how many states are handed out at a time: each is a copy in memory.
	mostTransfers = 2
	// idleTransfer is after how long nobody is thought to read a state any more.
	idleTransfer = 10 * time.Second
)

// states are the whole states that are being handed out. Safe for concurrent use.
type states struct {
	namespace string
	wall      func() time.Time

	mu   sync.Mutex
	next uint64
	held map[uint64]*handout
}

// handout is one encoded state.
type handout struct {
	data []byte
	used time.Time
}

// open makes a copy of the state ready to be read.
func (s *states) open(store Store) response {
	id, ok := s.reserve()
	if !ok {
		return response{Busy: true}
	}
	t, has := store.Export()
	if !has {
		s.drop(id)
		return response{}
	}
	data, err := events.EncodeTransfer(s.namespace, t)
	if err != nil {
		s.drop(id)
		return response{Error: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[id] = &handout{data: data, used: s.wall()}
	return response{ID: id, Size: len(data), Position: newPosition(t.Position())}
}

func (s *states) reserve() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, h := range s.held {
		if s.wall().Sub(h.used) > idleTransfer {
			delete(s.held, id)
		}
	}
	if len(s.held) >= mostTransfers {
		return 0, false
	}
	s.next++
	s.held[s.next] = &handout{used: s.wall()}
	return s.next, true
}

func (s *states) drop(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, id)
}

// read gives the part at offset. Who has read the last part is done.
func (s *states) read(id uint64, offset int) response {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held[id]
	if h == nil || offset < 0 || offset >= len(h.data) {
		return response{Error: fmt.Sprintf("there is no transfer %d, or it has no byte %d: it was not read for %s", id, offset, idleTransfer)}
	}
	h.used = s.wall()
	return response{Data: h.data[offset:min(offset+maxPage, len(h.data))]}
}
