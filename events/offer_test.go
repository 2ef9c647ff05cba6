package events_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/events"
)

// A write on its way that were offered as well would be stored although its condition does
// not hold, or although its caller is told that it certainly was not applied.
func TestWriteOnItsWayIsNotOffered(t *testing.T) {
	log := newMemLog()
	slow, lost := testLog.Event("service/slow"), testLog.Event("service/lost")
	release, arrived, offered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var slows, losts atomic.Int32
	log.intercept = func(m events.Outgoing) error {
		switch {
		case m.Subject == slow && slows.Add(1) == 1:
			close(arrived)
			<-release
			return events.ErrUnavailable
		case m.Subject == lost && losts.Add(1) == 1:
			return events.ErrUnknownOutcome
		case m.Subject == lost && losts.Load() == 2:
			close(offered)
		}
		return nil
	}
	r := runReplica(t, log, func() {}, nil)
	r.fresh()
	done := make(chan error, 1)
	go func() {
		_, err := r.Write(t.Context(), events.Change{Key: "service/slow", Value: []byte(`{}`), IfAbsent: true})
		done <- err
	}()
	<-arrived
	// "lost" sorts before "slow": once it is offered alone, give the rest of the round its time.
	if _, err := r.Write(t.Context(), events.Change{Key: "service/lost", Value: []byte(`{}`)}); !errors.Is(err, events.ErrUnknownOutcome) {
		t.Fatal(err)
	}
	<-offered
	r.holds("lost", `{}`)
	r.put("zz", `{}`)
	if n := slows.Load(); n != 1 {
		t.Errorf("the write on its way was sent %d times", n)
	}
	close(release)
	<-done
}

// One entry that the log will never take must not keep back all that sort behind it.
func TestRefusedOfferDoesNotHoldUpOthers(t *testing.T) {
	log := newMemLog()
	var refuse atomic.Bool
	log.intercept = func(m events.Outgoing) error {
		if refuse.Load() && m.Subject == testLog.Event("service/a") {
			return events.ErrRefused
		}
		return nil
	}
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.AuditEvery = 300 * time.Millisecond })
	r.fresh()
	r.put("a", `{"v":1}`)
	r.put("b", `{"v":2}`)
	refuse.Store(true)
	log.loseTail(2)
	r.until("b offered", func(events.View) bool {
		last, err := log.LastOf(t.Context(), testLog.Event("service/b"))
		return err == nil && last > 0
	})
	r.holds("a", `{"v":1}`)
}

// What the fold may reject is not served before the fold has seen it.
func TestWriteIsNotVisibleBeforeItIsFolded(t *testing.T) {
	log := newMemLog()
	stored, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	log.deliver = func(m events.Message) {
		if m.Subject == testLog.Event("service/future") {
			once.Do(func() { close(stored) })
			<-release
		}
	}
	var ahead atomic.Int64
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) {
		c.Wall = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	r.fresh()
	ahead.Store(int64(24 * time.Hour))
	done := make(chan error, 1)
	go func() {
		_, err := r.Write(t.Context(), events.Change{Key: "service/future", Value: []byte(`{}`)})
		done <- err
	}()
	<-stored
	select {
	case <-r.Changed():
	case <-time.After(100 * time.Millisecond): // nothing is to happen until the fold goes on
	}
	if e, ok := r.Entry("service/future"); ok {
		t.Errorf("visible before it is folded: %+v", e)
	}
	close(release)
	if err := <-done; !errors.Is(err, events.ErrRejected) {
		t.Errorf("a write of tomorrow: %v", err)
	}
}

// What the log has stored and the fold has not met yet would be stored twice.
func TestStoredWriteIsNotOffered(t *testing.T) {
	log := newMemLog()
	stored, release, offered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var sent, losts atomic.Int32
	var once sync.Once
	log.intercept = func(m events.Outgoing) error {
		switch {
		case m.Subject == testLog.Event("service/a"):
			sent.Add(1)
		case m.Subject == testLog.Event("service/lost") && losts.Add(1) == 1:
			return events.ErrUnknownOutcome // asks for an offer
		case m.Subject == testLog.Event("service/lost") && losts.Load() == 2:
			close(offered)
		}
		return nil
	}
	log.deliver = func(m events.Message) {
		if m.Subject == testLog.Event("service/a") {
			once.Do(func() { close(stored) })
			<-release
		}
	}
	r := runReplica(t, log, func() {}, nil)
	r.fresh()
	done := make(chan error, 1)
	go func() {
		_, err := r.Write(t.Context(), events.Change{Key: "service/a", Value: []byte(`{}`)})
		done <- err
	}()
	<-stored
	if _, err := r.Write(t.Context(), events.Change{Key: "service/lost", Value: []byte(`{}`)}); !errors.Is(err, events.ErrUnknownOutcome) {
		t.Fatal(err)
	}
	<-offered
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := sent.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// The stamps of a process never fall. If its clock was far ahead and is set right, they stay
// in the future, and the log would reject one write after the other.
func TestClockThatWasSetBackIsRefused(t *testing.T) {
	log := newMemLog()
	var ahead atomic.Int64
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) {
		c.Wall = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	r.fresh()
	ahead.Store(int64(time.Hour))
	write := func() error {
		_, err := r.Write(t.Context(), events.Change{Key: "service/a", Value: []byte(`{}`)})
		return err
	}
	if err := write(); !errors.Is(err, events.ErrRejected) {
		t.Fatalf("a write of the next hour: %v", err)
	}
	ahead.Store(0)
	if err := write(); !errors.Is(err, events.ErrClock) {
		t.Errorf("with a stamp of the next hour: %v", err)
	}
}

// After an outage the log can often be read a moment before it can be written.
func TestOfferIsRepeatedSoon(t *testing.T) {
	log := newMemLog()
	var refuse atomic.Bool
	var tries atomic.Int32
	log.intercept = func(events.Outgoing) error {
		if refuse.Load() && tries.Add(1) <= 3 {
			return events.ErrUnavailable
		}
		return nil
	}
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.AuditEvery = 300 * time.Millisecond })
	r.fresh()
	last := r.put("a", `{"v":1}`)
	refuse.Store(true)
	log.loseTail(1)
	began := time.Now()
	r.until("offered", func(v events.View) bool {
		return v.Seq >= last.Seq && v.Pending == 0 && v.Stale == "" && tries.Load() > 3
	})
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the offer came after %s", took)
	}
}
