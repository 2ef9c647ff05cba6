// Package apitest is for tests only: everything behind the API, in memory, with switches
// for what goes wrong.
package apitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
)

// Backend stands for replica, waiter, roster, HAProxy and history of one replica. Safe for
// concurrent use; the exported fields are set before it is used.
type Backend struct {
	// WriteErr is what every Write returns, with the event id "sent-1"; nil: writes work.
	WriteErr error
	// NoLog: the log is out of reach.
	NoLog bool
	// WaitResult is what every Wait returns; nil: live at once.
	WaitResult *events.WaitResult
	// WaitErr is what every Wait fails with.
	WaitErr error
	// CheckErr, ReloadErr and ConfigErr are the proxy's answers.
	CheckErr, ReloadErr, ConfigErr error
	// Table is HAProxy's statistics; empty: it does not answer.
	Table string
	// HistoryErr ends Records after what it has delivered.
	HistoryErr error

	mu      sync.Mutex
	entries map[string]crdt.Entry
	records []events.Record
	changed chan struct{}
	waits   []events.Wait
	reloads []bool
	checks  int
	ready   bool
	dead    bool
	status  events.Status
}

// New is a ready backend without services.
func New() *Backend {
	return &Backend{
		entries: map[string]crdt.Entry{},
		changed: make(chan struct{}),
		ready:   true,
		status:  events.Status{Node: "8000000000000001", Name: "one", Version: "test", StreamID: "log-1", Digest: "d1", Quarantine: []events.Quarantined{}},
	}
}

// Write follows the contract of events.Replica.
func (b *Backend) Write(_ context.Context, c events.Change) (events.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.WriteErr != nil {
		return events.Receipt{EventID: "sent-1"}, b.WriteErr
	}
	now := b.entries[c.Key]
	if (c.IfAbsent && now.Live()) || (c.IfMatch != "" && !now.Live()) || (c.IfMatch != "" && c.IfMatch != "*" && c.IfMatch != now.Stamp.String()) {
		return events.Receipt{}, fmt.Errorf("%w: %s is another version", events.ErrPrecondition, c.Key)
	}
	same := c.Delete == !now.Live()
	if same && !c.Delete {
		same = bytes.Equal(now.Value, c.Value) || c.Equal != nil && c.Equal(now.Value, c.Value)
	}
	if b.NoLog && (c.IfMatch != "" || c.IfAbsent) {
		return events.Receipt{}, events.ErrUnavailable
	}
	seq := uint64(len(b.records))
	switch {
	case same && b.NoLog && c.Delete:
		return events.Receipt{StreamID: "log-1", Stamp: now.Stamp, NoOp: true}, nil
	case same && !b.NoLog && c.IfMatch == "":
		return events.Receipt{StreamID: "log-1", Seq: max(seq, 1), Stamp: now.Stamp, NoOp: true}, nil // a log is never empty
	}
	e := crdt.Entry{Key: c.Key, Deleted: c.Delete, Value: bytes.Clone(c.Value),
		Stamp: crdt.Stamp{HLC: uint64(time.Now().UnixMilli())<<16 + seq, Node: 1 << 63}}
	b.entries[c.Key] = e
	if b.NoLog {
		return events.Receipt{StreamID: "log-1", Stamp: e.Stamp, EventID: e.Stamp.String()}, nil
	}
	b.append(c, e)
	return events.Receipt{StreamID: "log-1", Seq: seq + 1, Stamp: e.Stamp, EventID: e.Stamp.String(), Result: "applied"}, nil
}

func (b *Backend) append(c events.Change, e crdt.Entry) {
	kind, _, _ := strings.Cut(c.Key, "/")
	action := "put"
	if c.Delete {
		action = "removed"
	}
	b.records = append(b.records, events.Record{Seq: uint64(len(b.records) + 1), Time: time.Now(), Kind: kind, Key: c.Key,
		Action: action, Actor: c.Actor, Origin: c.Origin, Stamp: e.Stamp.String(), ID: e.Stamp.String(), Result: "applied", Data: e.Value})
	close(b.changed)
	b.changed = make(chan struct{})
}

// Entry is the entry of a key.
func (b *Backend) Entry(key string) (crdt.Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[key]
	return e, ok
}

// Entries are sorted by key.
func (b *Backend) Entries(prefix string) []crdt.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []crdt.Entry
	for key, e := range b.entries {
		if strings.HasPrefix(key, prefix) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b crdt.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// Status is the one that SetStatus gave.
func (b *Backend) Status() events.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Ready, s.Time = b.ready, time.Now()
	return s
}

// SetStatus sets everything but Ready and Time.
func (b *Backend) SetStatus(s events.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = s
}

// Replicas has this replica only.
func (b *Backend) Replicas() []events.Status { return []events.Status{b.Status()} }

// Wait remembers what it was asked.
func (b *Backend) Wait(_ context.Context, w events.Wait) (events.WaitResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits = append(b.waits, w)
	if b.WaitResult != nil {
		return *b.WaitResult, b.WaitErr
	}
	return events.WaitResult{Live: true}, b.WaitErr
}

// Waits lists what Wait was asked.
func (b *Backend) Waits() []events.Wait {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.waits)
}

// Config is a constant text.
func (b *Backend) Config(context.Context) ([]byte, error) {
	return []byte("frontend services\n"), b.ConfigErr
}

// Reload remembers its argument.
func (b *Backend) Reload(_ context.Context, recreate bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reloads = append(b.reloads, recreate)
	return b.ReloadErr
}

// Reloads lists the arguments of Reload.
func (b *Backend) Reloads() []bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reloads)
}

// Check counts its calls.
func (b *Backend) Check(context.Context, service.Service) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.checks++
	return b.CheckErr
}

// Checks is how often Check was called.
func (b *Backend) Checks() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.checks
}

// Ready reports whether HAProxy serves.
func (b *Backend) Ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready && !b.dead
}

// SetReady sets whether the state is restored and served.
func (b *Backend) SetReady(ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = ready
}

// SetDead sets whether HAProxy is dead.
func (b *Backend) SetDead(dead bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = dead
}

// LoseLog forgets every event, as a log that is made anew from the state does.
func (b *Backend) LoseLog() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = nil
}

// Records follows the contract of the API's History.
func (b *Backend) Records(ctx context.Context, q events.Query, handle func(events.Record) error) error {
	next := int(q.After)
	for {
		b.mu.Lock()
		var batch []events.Record
		if next < len(b.records) {
			batch = slices.Clone(b.records[next:])
		}
		changed := b.changed
		b.mu.Unlock()
		for _, r := range batch {
			next++
			if q.Key != "" && r.Key != q.Key || q.Kind != "" && r.Kind != q.Kind {
				continue
			}
			if err := handle(r); err != nil {
				return err
			}
		}
		if b.HistoryErr != nil || !q.Follow {
			return b.HistoryErr
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// CSV follows the contract of api.Statistics.
func (b *Backend) CSV(context.Context) ([]byte, error) {
	if b.Table == "" {
		return nil, errors.New("HAProxy does not answer")
	}
	return []byte(b.Table), nil
}
