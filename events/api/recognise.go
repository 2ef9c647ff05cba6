package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// ErrForeign marks errors of a Client that something else than Sluice answered.
var ErrForeign = errors.New("what answers is not Sluice")

// alive is the status that healthz tells.
const alive = "alive"

// Recognise asks, without the token, whether it is Sluice that answers, until it was once: a
// name that is looked up may be somebody else's, too. Errors: ErrForeign, ErrUnreachable.
func (c *Client) Recognise(ctx context.Context) error {
	if c.recognised.Load() {
		return nil
	}
	bare := &Client{base: c.base, http: c.http}
	var health struct{ Status string }
	err := bare.json(ctx, call{method: http.MethodGet, path: "/healthz"}, &health)
	var p *Problem
	switch {
	case err == nil && health.Status == alive, errors.As(err, &p) && !p.foreign:
		c.recognised.Store(true)
		return nil
	case errors.Is(err, ErrUnreachable):
		return err
	case err == nil:
		return fmt.Errorf("%w at %s", ErrForeign, c.base.Host)
	}
	return fmt.Errorf("%w at %s: %w", ErrForeign, c.base.Host, err)
}

// Foreign reports whether the answer was not made by Sluice.
func (p *Problem) Foreign() bool { return p.foreign }
