package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"
)

const (
	// pollInterval is how often a worker is asked for its generation.
	pollInterval = 15 * time.Millisecond
	// repeatAfter is when a reload without effect is first sent again: HAProxy before 2.7
	// loses requests that arrive while its master executes itself again.
	repeatAfter = 2 * time.Second
	// refusedAfter is the same for a request that could not even be sent.
	refusedAfter = 50 * time.Millisecond
	// mostRefusals is how many of those are borne before the process itself is told.
	mostRefusals = 10
)

// errUnreachable: the workers' socket is gone, and no reload brings it back.
var errUnreachable = errors.New("haproxy's socket has been removed")

// request asks a master to load its file again, by its socket or directly by a signal. The
// socket's path may be missing, or lead to a master that was replaced and has come back to it.
// From 2.7 on the socket answers when it has done so, or with what is wrong.
func (p *Process) request(ctx context.Context, c *child, directly bool) (answer string, err error) {
	if !directly {
		answer, err := ask(ctx, p.cfg.MasterSocket, "reload", p.cfg.LoadTimeout)
		if !errors.Is(err, fs.ErrNotExist) {
			return answer, err
		}
	}
	return "", signal(c.pid, syscall.SIGUSR2)
}

// kept is that HAProxy has refused what it was to load.
func kept(reason string) error {
	return fmt.Errorf("haproxy kept the previous configuration: %s", reason)
}

// reload makes the master load its file again.
func (p *Process) reload(ctx context.Context, c *child, generation uint64) error {
	before, mark := p.failures(ctx), c.tail.mark()
	failed := func() error {
		if p.unreachable() {
			return errUnreachable
		}
		if p.failures(ctx) > before {
			return kept(c.tail.since(mark))
		}
		return nil
	}
	patience, refusals, directly := repeatAfter, 0, false
	for {
		wait := refusedAfter
		answer, err := p.request(ctx, c, directly)
		if reason, refused := strings.CutPrefix(answer, "Success=0"); refused { // "show proc" of 3.1 on counts one of several
			return kept(alerts(reason))
		}
		if err == nil {
			wait, patience, directly = patience, 2*patience, true
		} else if refusals++; refusals == mostRefusals {
			directly = true
		}
		attempt, cancel := context.WithTimeout(ctx, wait)
		err = p.await(attempt, c, generation, failed)
		cancel()
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}

func (p *Process) failures(ctx context.Context) int {
	text, err := ask(ctx, p.cfg.MasterSocket, "show proc", commandTimeout)
	if err != nil {
		return 0 // the master executes itself again
	}
	return parseProcesses(text).failed
}

// await polls until a worker of the generation answers, HAProxy ends, failed says so or
// ctx ends.
func (p *Process) await(ctx context.Context, c *child, generation uint64, failed func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		info, err := ask(ctx, p.cfg.Socket, "show info", commandTimeout)
		if err == nil && generationOf(info) == generation {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("haproxy ended: %s", c.tail.since(0))
		case <-ctx.Done():
			return fmt.Errorf("wait for generation %d: %w: %s", generation, ctx.Err(), c.tail.since(0))
		case <-ticker.C:
		}
		if err := failed(); err != nil {
			return err
		}
	}
}
