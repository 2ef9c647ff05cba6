package gossip

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Way is one connection to other replicas. A replica may have several, each of which may be
// down, or reach only some of the others.
type Way struct {
	// Name is short, for logs and for whoever wants to know over which way something came.
	Name string
	NATS *nats.Conn
}

const (
	// patience is how long a connection may take to accept a message: somebody waits.
	patience = 50 * time.Millisecond
	// askPatience is the same for a question, which nobody waits for: a busy machine may take longer.
	askPatience = 500 * time.Millisecond
)

var errHangs = errors.New("the connection is looking for its server")

// path is a way that keeps nobody waiting: while a connection looks up its server and dials, all
// calls to it hang.
type path struct {
	Way
	hangs atomic.Bool
}

func newPaths(ways []Way) []*path {
	paths := make([]*path, len(ways))
	for i, w := range ways {
		paths[i] = &path{Way: w}
	}
	return paths
}

// call does something short with the connection, unless it is known to hang, or does not come
// back in time; then it is done later, or fails later.
func (p *path) call(ctx context.Context, patience time.Duration, do func() error) error {
	if p.hangs.Load() {
		return errHangs
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
	case <-ctx.Done():
	}
	select {
	case err := <-done: // in time, though this process was not
		return err
	default:
	}
	p.hangs.Store(true)
	go func() {
		<-done
		p.hangs.Store(false)
	}()
	return errHangs
}

// reachable is nil if the connection is up.
func (p *path) reachable() error {
	if !p.NATS.IsConnected() {
		return nats.ErrDisconnected
	}
	return nil
}

// tellOver sends over all ways: what arrives more than once does no harm. An error means that it
// was sent over none.
func tellOver(ctx context.Context, paths []*path, subject string, data []byte) error {
	var errs []error
	for _, p := range paths {
		if err := p.call(ctx, patience, func() error { return p.NATS.Publish(subject, data) }); err != nil {
			errs = append(errs, fmt.Errorf("over the %s: %w", p.Name, err))
		}
	}
	if len(errs) < len(paths) {
		return nil
	}
	return errors.Join(errs...)
}

// askOver asks over the first of the ways that reaches somebody who listens.
func askOver(ctx context.Context, paths []*path, subject string, data []byte) (*nats.Msg, error) {
	var errs []error
	for _, p := range paths {
		var m *nats.Msg
		err := p.call(ctx, askPatience, p.reachable)
		if err == nil {
			m, err = p.NATS.RequestWithContext(ctx, subject, data)
		}
		if err == nil {
			return m, nil
		}
		errs = append(errs, fmt.Errorf("over the %s: %w", p.Name, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}
