package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/crdt/service"
)

// sync makes the model live: by commands as far as these go, by a load for the rest if that
// may be now.
func (c *Controller) sync(ctx context.Context, d Desired) error {
	if !c.loaded() || c.adrift {
		if c.up && time.Now().Before(c.retry) {
			return nil
		}
		return c.load(ctx, d)
	}
	c.expel(ctx)
	p, err := c.command(ctx)
	if err != nil {
		c.log.Warn().Err(err).Msg("haproxy holds something else than it should, comparing")
		c.metrics.applied("failed", 0)
		if p, err = c.resync(ctx); err != nil {
			c.log.Warn().Err(err).Msg("haproxy cannot be repaired, loading")
			c.lose()
			return c.load(ctx, d)
		}
	}
	c.pending = p.load
	if c.due(p) {
		return c.load(ctx, d)
	}
	switch {
	case p.load == "" && len(c.newcomers) == 0:
		c.reportLive(d)
	case !p.vague:
		c.reportReached(d, slices.Sorted(maps.Keys(p.waiting)))
	}
	return nil
}

// due reports whether what the plan leaves to a load, or the state of the pool, asks for
// one now.
func (c *Controller) due(p *plan) bool {
	now := time.Now()
	switch {
	case now.Before(c.retry):
		return false
	case p.load == poolEmpty || p.load == "" && c.live.low():
		return now.After(c.loadedAt.Add(refillEvery)) && (!c.crowded || now.After(c.next))
	case now.Before(c.next):
		return false
	}
	return p.load != "" || c.live.drifted && time.Since(c.changed) > tidyAfter && time.Since(c.loadedAt) > tidyEvery
}

// refillEvery is how far loads that only refill the pool are apart at least: nobody waits
// for those that come in time, and everybody for one that does not.
const refillEvery = 500 * time.Millisecond

// Services that got backends of the pool move to their own after a minute of rest, at most
// every ten minutes.
const (
	tidyAfter = time.Minute
	tidyEvery = 10 * time.Minute
)

// pace says when the next load may be. Many old workers make it wait, as long as they are there:
// each look at the process decides anew.
func (c *Controller) pace(s ProcessState) {
	wait := c.cfg.Interval
	if c.crowded = s.OldWorkers >= crowd; c.crowded {
		wait = c.cfg.Crowded
	}
	c.next = c.loadedAt.Add(wait)
}

// acceptable finds the versions that HAProxy accepts together. Each refusal costs the
// service that caused it its candidate, nobody else. HAProxy is not asked about services
// without needs of their own, which all look alike: that takes as long as the load itself.
func (c *Controller) acceptable(ctx context.Context) error {
	for {
		c.expel(ctx)
		if !c.doubtful {
			return nil
		}
		err := c.stage(ctx, c.model)
		if err == nil {
			c.doubtful = false
			return nil
		}
		var verdict *Verdict
		if !errors.As(err, &verdict) {
			return err
		}
		name, reason, err := c.culprit(ctx)
		if err != nil {
			return err
		}
		c.metrics.loaded("refused", 0)
		c.reject(ctx, name, reason)
	}
}

// culprit finds the service whose candidate makes HAProxy refuse: the last one of the
// shortest refused beginning of the list. What was live before comes first, so that of
// two that clash the newer one is blamed.
func (c *Controller) culprit(ctx context.Context) (name, reason string, err error) {
	var suspects []candidate
	for _, name := range sortedKeys(c.current) {
		suspects = append(suspects, c.current[name])
	}
	slices.SortStableFunc(suspects, func(a, b candidate) int { return c.novelty(a) - c.novelty(b) })
	if err := c.try(ctx, nil); err != nil {
		return "", "", fmt.Errorf("the proxy's own settings: %w", err)
	}
	// What was refused for a local file that has changed since is nobody's fault.
	last := c.try(ctx, suspects)
	if !isRefused(last) {
		return "", "", errors.Join(errPassed, last)
	}
	good, bad := 0, len(suspects)
	for good+1 < bad {
		middle := (good + bad) / 2
		switch err := c.try(ctx, suspects[:middle]); {
		case err == nil:
			good = middle
		case isRefused(err):
			bad, last = middle, err
		default:
			return "", "", err
		}
	}
	if err := c.try(ctx, suspects[bad-1:bad]); isRefused(err) {
		last = err // said about it alone, this is the clearest reason
	}
	return suspects[bad-1].name, oneLine(last.Error()), nil
}

// errPassed: what HAProxy refused, it accepts at a second look.
var errPassed = errors.New("the refusal does not repeat itself: a local file has changed meanwhile")

func (c *Controller) novelty(cand candidate) int {
	if good, ok := c.good[cand.name]; ok && good.version == cand.version {
		return 0
	}
	return 1
}

func isRefused(err error) bool {
	var verdict *Verdict
	var refusal *Refusal
	return errors.As(err, &verdict) || errors.As(err, &refusal)
}

// maxReason bounds a reason that is shown, in bytes.
const maxReason = 1000

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

// try asks HAProxy about a part of the services. nil: accepted.
func (c *Controller) try(ctx context.Context, list []candidate) error {
	m := Build(c.options, servicesOf(list), *c.model.view)
	if refusals := m.Refusals(); len(refusals) > 0 {
		return refusals[0]
	}
	return c.stage(ctx, m)
}

func servicesOf(list []candidate) []service.Service {
	services := make([]service.Service, len(list))
	for i := range list {
		services[i] = list[i].svc
	}
	return services
}

// look takes in what is new of local files and of the map's certificates.
func (c *Controller) look(ctx context.Context, d Desired) {
	c.bundled = d.Certificates
	c.usable, c.unusable = c.bundles(ctx, d.Certificates)
	view := c.view()
	view.Bundles = c.usable
	var problems []string
	view.Errorfiles, problems = c.errorfiles(ctx)
	view.Problems = slices.Concat(view.Problems, problems)
	if c.model.view.same(&view) && !c.model.hasLocal() {
		return
	}
	c.doubtful = true
	c.model.Refresh(&view)
}

// hasLocal reports whether any part was made with a secret or template of this machine.
func (m *Model) hasLocal() bool {
	for p := range maps.Values(m.parts) {
		if p.local || p.svc.TemplateFePath+p.svc.TemplateBePath != "" {
			return true
		}
	}
	return false
}

// StagingPrefix begins the names of directories with configurations that HAProxy is only
// asked about.
const StagingPrefix = ".check-"

// stage writes the model beside the live files and asks HAProxy about it.
func (c *Controller) stage(ctx context.Context, m *Model) error {
	if err := makeDirectories(c.options); err != nil {
		return err
	}
	return staged(ctx, c.cfg.Process, c.options.runDir(), m)
}

// sweepStaging removes what a killed process left behind: copies may hold keys.
func (c *Controller) sweepStaging() {
	left, err := filepath.Glob(filepath.Join(c.options.runDir(), StagingPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		c.log.Warn().Err(err).Msg("cannot remove old staging directories")
	}
}

// writeStaging writes files that need not survive a crash.
func writeStaging(dir string, files []File) error {
	for _, sub := range []string{"maps", "certs"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return fmt.Errorf("make staging directory: %w", err)
		}
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			return fmt.Errorf("write staging file: %w", err)
		}
	}
	return nil
}
