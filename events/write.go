package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/crdt"
)

// foldPatience is how long a writer waits for this replica to fold what is in the log.
const foldPatience = 3 * time.Second

// Write puts or deletes one key and returns once the event is durable and folded here. Without
// the log a change that has no condition is accepted: kept on disk, visible here, told to the
// other replicas and offered to the log later; the receipt then has no sequence.
//
// Errors: ErrKey, ErrEvent: the change itself is wrong. ErrNotReady, ErrUnavailable, ErrRefused,
// ErrClock: certainly not applied.
// ErrPrecondition: the condition of the change does not hold. ErrRejected: durable, without
// effect. ErrUnknownOutcome: it may be applied, now or later; the receipt names the event.
func (r *Replica) Write(ctx context.Context, c Change) (Receipt, error) {
	receipt, err := r.write(ctx, c)
	r.metrics.write(err)
	return receipt, err
}

func (r *Replica) write(ctx context.Context, c Change) (Receipt, error) {
	if err := CheckKey(c.Key); err != nil {
		return Receipt{}, err
	}
	if err := checkSize(c.Value); err != nil {
		return Receipt{}, fmt.Errorf("write %s: %w", c.Key, err)
	}
	if err := r.writable(ctx); errors.Is(err, ErrUnavailable) && c.unconditional() {
		return r.accept(c)
	} else if err != nil {
		return Receipt{}, err
	}
	if done, receipt, err := r.already(ctx, c); done || err != nil {
		return receipt, err
	}
	expect, err := r.condition(ctx, c)
	if err != nil {
		return Receipt{}, err
	}
	e, err := r.stamp(c)
	if err != nil {
		return Receipt{}, err
	}
	return r.publish(context.WithoutCancel(ctx), e, expect)
}

// writable refuses while there is no state, no log or no trustworthy clock.
func (r *Replica) writable(ctx context.Context) error {
	r.mu.Lock()
	restored, online, stale, off := r.restored, r.core.Online(), r.stale, r.clockProblem()
	r.mu.Unlock()
	switch {
	case !restored:
		return fmt.Errorf("%w: %s", ErrNotReady, stale)
	case off != "" && online:
		return r.measureClock(ctx)
	case off != "": // the log would reject what is accepted now
		return fmt.Errorf("%w: %s", ErrClock, off)
	case !online:
		return fmt.Errorf("%w: %s", ErrUnavailable, stale)
	}
	return nil
}

// skewed reports whether the wall clock is too far from the log's (I12). The caller holds mu.
func (r *Replica) skewed() bool {
	s := r.core.State()
	return s != nil && r.skew.Abs() > s.Params.F/4
}

// measureClock compares the clocks again with a message of its own.
func (r *Replica) measureClock(ctx context.Context) error {
	seq, err := r.cfg.Log.Append(ctx, Tick(r.cfg.Subjects, r.tickID()))
	if err != nil {
		return fmt.Errorf("compare the clock with the log's: %w", err)
	}
	if err := r.folded(ctx, seq); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.skewed() {
		return fmt.Errorf("%w: %s apart: set the clock of this machine or of the log's (NTP)", ErrClock, r.skew.Abs().Round(time.Second))
	}
	return nil
}

// already reports whether the state is as asked, so that no event is needed. Only a
// replica that has folded everything that was in the log when the request came may say so.
func (r *Replica) already(ctx context.Context, c Change) (bool, Receipt, error) {
	if !c.unconditional() {
		return false, Receipt{}, nil
	}
	if e, _ := r.Entry(c.Key); !c.same(e) {
		return false, Receipt{}, nil
	}
	if err := r.foldedToEnd(ctx); err != nil {
		return false, Receipt{}, nil // lagging: publish, the log decides
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.core.Moot(c) {
		return false, Receipt{}, nil
	}
	s := r.core.State()
	e, _ := s.Map.Get(c.Key)
	return true, Receipt{StreamID: s.StreamID, Seq: s.Seq(), Stamp: e.Stamp, NoOp: true}, nil
}

// same reports whether e, which is of the change's key, is as the change asks.
func (c *Change) same(e crdt.Entry) bool {
	switch {
	case c.Delete || !e.Live():
		return c.Delete && !e.Live()
	case c.Equal != nil:
		return c.Equal(e.Value, c.Value)
	}
	return string(e.Value) == string(c.Value)
}

// condition checks If-Match on a state folded to the end and returns the sequence that
// must still be the last of the key's subject when the event is stored.
func (r *Replica) condition(ctx context.Context, c Change) (*uint64, error) {
	if c.unconditional() {
		return nil, nil
	}
	last, err := r.cfg.Log.LastOf(ctx, r.cfg.Subjects.Event(c.Key))
	if err != nil {
		return nil, fmt.Errorf("read the last sequence of %s: %w", c.Key, err)
	}
	if err := r.foldedToEnd(ctx); err != nil {
		return nil, err
	}
	e, _ := r.Entry(c.Key)
	held := e.Live() && (c.IfMatch == "*" || strings.Trim(c.IfMatch, `"`) == e.Stamp.String())
	if c.IfAbsent {
		held = !e.Live()
	}
	if !held {
		return nil, fmt.Errorf("%w: %s is now %s", ErrPrecondition, c.Key, describe(e))
	}
	return &last, nil
}

func describe(e crdt.Entry) string {
	if !e.Live() {
		return "absent"
	}
	return `"` + e.Stamp.String() + `"`
}

// stamp makes the entry and holds it as pending.
func (r *Replica) stamp(c Change) (crdt.Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := Greatest(r.core.State(), r.core.Pending(), c.Key)
	seen := seenBy(known, ok)
	e, err := r.core.Write(c, r.cfg.Wall())
	if err == nil {
		r.violated(checkStamp(e, known, r.newest))
		r.newest = e.Stamp
		event := r.event(c, e)
		event.Seen = seen
		r.told.add(event, r.core.Pending())
	}
	return e, err
}

// publish appends the entry and waits until it is folded here.
func (r *Replica) publish(ctx context.Context, e crdt.Entry, expect *uint64) (Receipt, error) {
	receipt := Receipt{StreamID: r.View().StreamID, Stamp: e.Stamp, EventID: e.Stamp.String()}
	m, err := r.message(e)
	if err == nil {
		m.ExpectLast = expect
		receipt.Seq, err = r.append(ctx, m)
	}
	if errors.Is(err, ErrUnavailable) && expect == nil {
		return r.acceptEntry(e)
	}
	if err != nil {
		r.unstored(e, errors.Is(err, ErrUnknownOutcome), expect != nil)
	}
	switch {
	case errors.Is(err, ErrUnknownOutcome):
		return receipt, err
	case errors.Is(err, ErrConflict):
		return Receipt{}, fmt.Errorf("%w: %s was changed meanwhile", ErrPrecondition, e.Key)
	case err != nil:
		return Receipt{}, err
	}
	_ = r.folded(ctx, receipt.Seq) // what that comes to is the core's to say
	result := r.settled(e)
	if result == "" {
		return receipt, nil // durable; what the fold makes of it is not known yet
	}
	_, reason := r.Verdict(receipt.Seq)
	if receipt.Result = result; result == ResultFuture || result == ResultExpired || result == ResultIgnored {
		return receipt, fmt.Errorf("%w: %s: %s", ErrRejected, result, reason)
	}
	return receipt, nil
}

// unstored: the log refused e, or has not answered. What it may have stored stays pending and
// is offered until the fold decides, but not a conditional write: offered without its
// condition it could overwrite what came meanwhile.
func (r *Replica) unstored(e crdt.Entry, unknown, conditional bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case unknown && !conditional:
		r.core.Unknown(e)
		poke(r.offers)
	case unknown:
		r.dropped(e, r.core.Doubt)
	default:
		r.dropped(e, r.core.Refuse)
	}
}

// settled ends what began with stamp for an entry that the log has stored. Until here it was
// not offered, since the fold was about to meet it.
func (r *Replica) settled(e crdt.Entry) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	result := r.core.Settle(e)
	if result != "" {
		delete(r.told, e.Stamp)
	} else {
		r.lacks++ // the log may lose it before this replica folds it
		r.touched.add(e.Key)
		r.changed.raise()
		poke(r.offers)
	}
	return result
}

// append bridges the moment in which the log can be read again but not yet written.
func (r *Replica) append(ctx context.Context, m Outgoing) (uint64, error) {
	for attempt := 1; ; attempt++ {
		seq, err := r.cfg.Log.Append(ctx, m)
		if !errors.Is(err, ErrUnavailable) || attempt == 5 || !r.following() {
			return seq, err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// message is what the log is to hold of a pending entry.
func (r *Replica) message(e crdt.Entry) (Outgoing, error) {
	r.mu.Lock()
	event := r.eventOf(e)
	r.mu.Unlock()
	data, err := event.Encode()
	if err != nil {
		return Outgoing{}, fmt.Errorf("encode the event of %s: %w", e.Key, err)
	}
	return Outgoing{Subject: r.cfg.Subjects.Event(e.Key), ID: event.ID, Data: data}, nil
}

func (r *Replica) drop(e crdt.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped(e, r.core.Refuse)
}

// dropped takes e out of the pending layer, by Core.Refuse or Core.Doubt. The caller holds mu.
func (r *Replica) dropped(e crdt.Entry, how func(crdt.Entry) bool) {
	delete(r.told, e.Stamp)
	if how(e) {
		r.touched.add(e.Key)
	}
}
