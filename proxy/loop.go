package proxy

import (
	"context"
	"errors"
	"slices"
	"time"
)

// loop acts on the newest state whenever anything may have changed it.
func (c *Controller) loop(ctx context.Context) error {
	c.restore()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		// Taken before the state is read, so that no change in between is missed.
		changed, resolved, exited := c.cfg.Source.Changed(), c.resolver.Changed(), c.cfg.Process.Exited()
		began := time.Now()
		timer.Reset(c.step(ctx))
		took := time.Since(began)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			rest(ctx, min(took, breath)-time.Since(began)+took)
		case <-resolved:
		case <-exited:
			c.looked = time.Time{}
			c.lose()
		case err := <-c.writer.done:
			c.writer.finish(err)
		case <-timer.C:
		case r := <-c.requests:
			r.done <- c.serve(ctx, r)
		}
	}
}

const (
	// idle is how often the process and local files are looked at without any signal.
	idle = 2 * time.Second
	// glance is how often they are looked at under a stream of changes.
	glance = time.Second
	// breath bounds the rest between two steps, which is as long as the first of them took: each
	// costs a look at all services, however many have changed, and more come in the meantime.
	breath = 8 * time.Millisecond
)

// rest waits for d or the end of ctx; not at all if d is not positive.
func rest(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (c *Controller) loaded() bool { return c.live != nil }

// step brings HAProxy up to date if that is due, and says when to look again.
func (c *Controller) step(ctx context.Context) time.Duration {
	d := c.cfg.Source.Desired()
	if !d.Ready {
		return idle
	}
	if time.Since(c.looked) >= glance {
		c.looked = time.Now()
		c.observe(ctx)
		c.look(ctx, d)
		c.retryLeaving = true
	} else if !slices.EqualFunc(c.bundled, d.Certificates, sameBundle) {
		c.look(ctx, d)
	}
	c.take(ctx, d)
	if !c.loaded() && len(c.newcomers) > 0 {
		return c.untilAdmission()
	}
	if err := c.sync(ctx, d); err != nil && ctx.Err() == nil {
		return c.failed(ctx, err)
	}
	c.save(false)
	c.writeBehind()
	return c.untilDue()
}

// failed keeps what works and says when to try again.
func (c *Controller) failed(ctx context.Context, err error) time.Duration {
	err = errors.Join(err, c.revive(ctx))
	c.failures++
	wait := min(100*time.Millisecond<<min(c.failures, 7), 10*time.Second)
	c.retry = time.Now().Add(wait)
	c.log.Error().Err(err).Dur("again_in", wait).Msg("cannot bring haproxy up to date")
	c.publish(func(r *Report) { r.LastError = err.Error() })
	return wait
}

// untilAdmission is when the first newcomer has waited long enough for its hosts.
func (c *Controller) untilAdmission() time.Duration {
	wait := idle
	for _, n := range c.newcomers {
		wait = min(wait, max(time.Until(n.until), time.Millisecond))
	}
	return wait
}

// untilDue is when something that waits for its time will be due.
func (c *Controller) untilDue() time.Duration {
	wait := min(idle, c.untilAdmission())
	switch {
	case c.pending == poolEmpty || c.pending == "" && c.live.low():
		wait = min(wait, max(time.Until(c.loadedAt.Add(refillEvery)), time.Until(c.retry), time.Millisecond))
	case c.pending != "" || c.adrift:
		wait = min(wait, max(time.Until(c.next), time.Until(c.retry), time.Millisecond))
	}
	if c.unwritten && c.pending == "" {
		wait = min(wait, max(writeEvery-time.Since(c.written), time.Millisecond))
	}
	return wait
}
