package gossip

import (
	"context"
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
	opened    chan struct{} // tells run that there is one more

	mu   sync.Mutex
	next uint64
	held map[uint64]*handout
}

// handout is one encoded state.
type handout struct {
	data []byte // nil while it is being encoded
	used time.Time
}

func newStates(namespace string) states {
	return states{namespace: namespace, wall: time.Now, opened: make(chan struct{}, 1), held: map[uint64]*handout{}}
}

// run forgets states that nobody reads any more, until ctx ends.
func (s *states) run(ctx context.Context) {
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.opened:
		case <-due:
		}
		due = nil
		if next := s.forget(); next > 0 {
			due = time.After(next)
		}
	}
}

// forget drops what nobody reads any more. It returns when to look again; 0: nothing is left.
func (s *states) forget() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Duration
	for id, h := range s.held {
		rest := idleTransfer - s.wall().Sub(h.used)
		switch {
		case h.data == nil: // whoever encodes it says when it is done
		case rest <= 0:
			delete(s.held, id)
		case next == 0 || rest < next:
			next = rest
		}
	}
	return next
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
	select {
	case s.opened <- struct{}{}:
	default:
	}
	return response{ID: id, Size: len(data), Position: newPosition(t.Position())}
}

func (s *states) reserve() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
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

// read gives the part at offset.
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
