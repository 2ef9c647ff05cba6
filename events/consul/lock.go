package consul

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	// sessionTTL is the least that Consul allows; it may take twice as long to notice a death.
	sessionTTL = "10s"
	// lockDelay: transactions check the lock themselves, so nobody has to wait for late writes.
	lockDelay      = time.Millisecond
	releaseTimeout = 2 * time.Second
)

// lock is a key that one Consul session can hold. Not safe for concurrent use.
type lock struct {
	client  *client
	key     string
	holder  string
	session string // empty: none yet, or it expired
}

// acquire keeps the session alive and reports whether the lock is ours now.
func (l *lock) acquire(ctx context.Context) (held bool, err error) {
	if err := l.renew(ctx); err != nil {
		return false, err
	}
	pair := &api.KVPair{Key: l.key, Value: []byte(l.holder), Session: l.session}
	err = l.client.do(ctx, "lock "+l.key, func(ctx context.Context, a *api.Client) error {
		held, _, err = a.KV().Acquire(pair, writing(ctx))
		return err
	})
	return held, err
}

func (l *lock) renew(ctx context.Context) error {
	if l.session != "" {
		var entry *api.SessionEntry
		err := l.client.do(ctx, "renew session of "+l.key, func(ctx context.Context, a *api.Client) (err error) {
			entry, _, err = a.Session().Renew(l.session, writing(ctx))
			return err
		})
		if err != nil {
			return err
		}
		if entry != nil {
			return nil
		}
	}
	// Without health checks: the agent's own trouble must not move the lock.
	entry := &api.SessionEntry{Name: "sluice mirror " + l.holder, TTL: sessionTTL, Behavior: api.SessionBehaviorDelete, LockDelay: lockDelay}
	return l.client.do(ctx, "make session of "+l.key, func(ctx context.Context, a *api.Client) (err error) {
		l.session, _, err = a.Session().CreateNoChecks(entry, writing(ctx))
		return err
	})
}

// check is the operation that lets a transaction fail unless the lock is held.
func (l *lock) check() *api.KVTxnOp {
	return &api.KVTxnOp{Verb: api.KVCheckSession, Key: l.key, Session: l.session}
}

// release gives the lock away at once, so that a successor need not wait for the session's end.
// It also works after ctx has ended; whatever fails, the session's end does the same later.
func (l *lock) release(ctx context.Context) {
	if l.session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	pair := &api.KVPair{Key: l.key, Session: l.session}
	_ = l.client.do(ctx, fmt.Sprintf("release %s", l.key), func(ctx context.Context, a *api.Client) error {
		if _, _, err := a.KV().Release(pair, writing(ctx)); err != nil {
			return err
		}
		_, err := a.Session().Destroy(l.session, writing(ctx))
		return err
	})
	l.session = ""
}
