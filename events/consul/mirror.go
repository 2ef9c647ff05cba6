package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/zeebo/xxh3"
)

const (
	// maxOps is Consul's limit of one transaction; the first operation checks the lock.
	maxOps = 64
	// maxTxn keeps a transaction's values, grown by a third on the wire, below its size limit.
	maxTxn = 256 << 10
	// syncGap bounds the writes that a stream of changes causes; syncShare times as long as a
	// sync took is the least pause, so that a large mirror does not keep the replica busy.
	// keepalive is how often the lock is renewed or tried, repair how often everything is
	// compared without a change.
	syncGap   = time.Second
	syncShare = 10
	keepalive = 3 * time.Second
	repair    = time.Minute
)

var errLockLost = errors.New("the mirror's lock was lost")

// Source is what the mirror shows.
type Source interface {
	// Mirror returns everything: "<service>/<field>" to text, as Fields makes it.
	Mirror() map[string]string
	// Changed returns the channel that is closed when Mirror changes next.
	Changed() <-chan struct{}
}

// Mirror keeps the readable copy of the services below the prefix. One replica writes at a time,
// the holder of a Consul lock; when it dies another one takes over within half a minute. The copy
// is for people: nothing is ever read back from it, and keys that the mirror did not write are
// left alone. Not safe for concurrent use.
type Mirror struct {
	store *Store
	lock  *lock
	// flags marks our keys: a prefix can be shared by people, and by other namespaces.
	flags uint64
}

// Mirror returns the namespace's mirror; holder names this replica to people.
func (s *Store) Mirror(holder string) *Mirror {
	return &Mirror{
		store: s,
		lock:  &lock{client: s.client, key: s.own("mirror/lock"), holder: holder},
		flags: xxh3.HashString("sluice mirror of " + s.namespace),
	}
}

// Run mirrors src until ctx ends and then gives the lock away. The result of each attempt goes
// to report, nil for those that worked; it never ends because of them.
func (m *Mirror) Run(ctx context.Context, src Source, report func(error)) error {
	defer m.lock.release(ctx)
	tick := time.NewTicker(keepalive)
	defer tick.Stop()
	for {
		changed, began := src.Changed(), time.Now()
		done, err := m.sync(ctx, src.Mirror)
		if ctx.Err() != nil {
			return nil
		}
		report(err)
		synced := time.Now()
		rest := time.NewTimer(pause(synced.Sub(began), err))
		for due, rested := false, false; !due || !rested; {
			select {
			case <-ctx.Done():
				rest.Stop()
				return nil
			case <-changed:
				due, changed = true, nil
			case <-rest.C:
				rested = true
			case <-tick.C:
				due = !m.still(ctx, done, err, synced) || due
			}
		}
	}
}

// pause is how long to leave Consul alone after a sync that took so long.
func pause(took time.Duration, err error) time.Duration {
	if err != nil { // it says nothing about the size of the mirror
		return syncGap
	}
	return min(max(syncGap, syncShare*took), repair)
}

// still renews the lock and reports whether there is nothing to do but wait.
func (m *Mirror) still(ctx context.Context, done bool, err error, synced time.Time) bool {
	if err != nil || time.Since(synced) > repair {
		return false
	}
	held, err := m.lock.acquire(ctx)
	return err == nil && held == done
}

// Sync makes the copy equal to desired if this replica holds the lock or can take it; false: it
// is another's. Only differences are written.
func (m *Mirror) Sync(ctx context.Context, desired map[string]string) (bool, error) {
	return m.sync(ctx, func() map[string]string { return desired })
}

// sync is Sync that asks for what is desired only if it is to be written.
func (m *Mirror) sync(ctx context.Context, desired func() map[string]string) (bool, error) {
	held, err := m.lock.acquire(ctx)
	if err != nil || !held {
		return false, err
	}
	pairs, err := m.store.client.list(ctx, m.store.prefix)
	if err != nil {
		return true, fmt.Errorf("mirror: %w", err)
	}
	for _, ops := range batches(m.diff(pairs, desired())) {
		if err := m.write(ctx, ops); err != nil {
			return true, fmt.Errorf("mirror: %w", err)
		}
	}
	return true, nil
}

// diff is what has to be written and deleted, in the order of the keys.
func (m *Mirror) diff(pairs api.KVPairs, desired map[string]string) []*api.KVTxnOp {
	var ops []*api.KVTxnOp
	same := map[string]bool{}
	for _, p := range pairs {
		name := p.Key[len(m.store.prefix):]
		want, wanted := desired[name]
		switch {
		case wanted:
			same[name] = p.Flags == m.flags && string(p.Value) == want
		case p.Flags == m.flags && fieldPattern.MatchString(name):
			ops = append(ops, &api.KVTxnOp{Verb: api.KVDelete, Key: p.Key})
		}
	}
	for name, value := range desired {
		if !same[name] && fieldPattern.MatchString(name) {
			ops = append(ops, &api.KVTxnOp{Verb: api.KVSet, Key: m.store.prefix + name, Value: []byte(value), Flags: m.flags})
		}
	}
	slices.SortFunc(ops, func(a, b *api.KVTxnOp) int { return cmp.Compare(a.Key, b.Key) })
	return ops
}

func batches(ops []*api.KVTxnOp) [][]*api.KVTxnOp {
	var out [][]*api.KVTxnOp
	start, size := 0, 0
	for i, op := range ops {
		if i > start && (i-start == maxOps-1 || size+len(op.Value) > maxTxn) {
			out = append(out, ops[start:i])
			start, size = i, 0
		}
		size += len(op.Value)
	}
	if start < len(ops) {
		out = append(out, ops[start:])
	}
	return out
}

// write makes one transaction, which has no effect unless the lock is still held.
func (m *Mirror) write(ctx context.Context, ops []*api.KVTxnOp) error {
	all := append(api.KVTxnOps{m.lock.check()}, ops...)
	return m.store.client.do(ctx, "write "+m.store.prefix, func(ctx context.Context, a *api.Client) error {
		ok, answer, _, err := a.KV().Txn(all, reading(ctx))
		if err != nil || ok {
			return err
		}
		for _, e := range answer.Errors {
			if e.OpIndex == 0 {
				return fmt.Errorf("%w: %s", errLockLost, e.What)
			}
			err = errors.Join(err, errors.New(e.What))
		}
		return err
	})
}
