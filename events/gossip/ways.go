package gossip

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Way is one connection to other replicas. A replica may have several, each of which may be
// down, or reach only some of the others.
type Way struct {
	// Name is short, for logs and for whoever wants to know over which way something came.
	Name string
	NATS *nats.Conn
}

// tellOver sends over all ways: what arrives more than once does no harm. An error means that it
// was sent over none.
func tellOver(ways []Way, subject string, data []byte) error {
	var errs []error
	for _, w := range ways {
		if err := w.NATS.Publish(subject, data); err != nil {
			errs = append(errs, fmt.Errorf("over the %s: %w", w.Name, err))
		}
	}
	if len(errs) < len(ways) {
		return nil
	}
	return errors.Join(errs...)
}

// askOver asks over the first of the ways that reaches somebody who listens.
func askOver(ctx context.Context, ways []Way, subject string, data []byte) (*nats.Msg, error) {
	var errs []error
	for _, w := range ways {
		m, err := w.NATS.RequestWithContext(ctx, subject, data)
		if err == nil {
			return m, nil
		}
		errs = append(errs, fmt.Errorf("over the %s: %w", w.Name, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}
