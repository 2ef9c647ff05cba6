package events

import "sync"

// signal is a level-triggered broadcast: take the channel, look at the state, then wait.
// The zero value is ready; safe for concurrent use.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns the channel that the next raise closes.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

// raise wakes everybody who waits.
func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
