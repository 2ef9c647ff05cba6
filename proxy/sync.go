package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/crdt/service"
)

// sync makes what is desired live: build, check, write, load. Without a difference in the
// files nothing is loaded, unless always.
func (c *Controller) sync(ctx context.Context, d Desired, always bool) error {
	list, m, err := c.acceptable(ctx, d)
	if err != nil {
		return err
	}
	digest := m.Digest()
	state := c.cfg.Process.State(ctx)
	same := c.live.loaded && digest == c.live.digest && state.Up && state.Generation == c.generation
	if !same || always {
		if err := c.load(ctx, d, m, list); err != nil {
			return err
		}
		c.live.digest = digest
		c.pace(state)
	}
	c.keep(list)
	c.reportLive(d, m)
	return nil
}

// pace says when the next load may be.
func (c *Controller) pace(s ProcessState) {
	wait := c.cfg.Interval
	if s.OldWorkers >= crowd {
		wait = c.cfg.Crowded
	}
	c.next = time.Now().Add(wait)
}

// acceptable finds the versions that HAProxy accepts together. Each refusal costs the
// service that caused it its candidate, nobody else.
func (c *Controller) acceptable(ctx context.Context, d Desired) ([]candidate, *Model, error) {
	c.usable, c.unusable = c.bundles(ctx, d.Certificates)
	for {
		list := c.candidates(ctx, d)
		m := c.build(ctx, list)
		if refusals := m.Refusals(); len(refusals) > 0 {
			for _, r := range refusals {
				c.reject(ctx, d, r.Service, r.Error())
			}
			continue
		}
		if c.unchanged(m) {
			return list, m, nil
		}
		err := c.stage(ctx, m)
		var verdict *Verdict
		if !errors.As(err, &verdict) {
			return list, m, err
		}
		name, reason, err := c.culprit(ctx, list)
		if err != nil {
			return nil, nil, err
		}
		c.metrics.loaded("refused", 0)
		c.reject(ctx, d, name, reason)
	}
}

// unchanged reports whether HAProxy has accepted exactly this model before.
func (c *Controller) unchanged(m *Model) bool {
	return c.live.loaded && m.Digest() == c.live.digest
}

// culprit finds the service whose candidate makes HAProxy refuse: the last one of the
// shortest refused beginning of the list. What was live before comes first, so that of
// two that clash the newer one is blamed.
func (c *Controller) culprit(ctx context.Context, list []candidate) (name, reason string, err error) {
	suspects := slices.Clone(list)
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

// try asks HAProxy about a part of the services. nil: accepted. It looks no host up: the
// resolver would forget those of the other services.
func (c *Controller) try(ctx context.Context, list []candidate) error {
	m := Build(c.options, servicesOf(list), c.fullView())
	if refusals := m.Refusals(); len(refusals) > 0 {
		return refusals[0]
	}
	return c.stage(ctx, m)
}

// build makes the model of the candidates with what is known of the world.
func (c *Controller) build(ctx context.Context, list []candidate) *Model {
	services := servicesOf(list)
	c.resolve(ctx, services)
	return Build(c.options, services, c.fullView())
}

// fullView is the view with the certificates of the map.
func (c *Controller) fullView() View {
	v := c.view()
	v.Bundles = c.usable
	return v
}

func servicesOf(list []candidate) []service.Service {
	services := make([]service.Service, len(list))
	for i := range list {
		services[i] = list[i].svc
	}
	return services
}

const stagingPrefix = ".check-"

// stage writes the model beside the live files and asks HAProxy about it.
func (c *Controller) stage(ctx context.Context, m *Model) error {
	dir, err := os.MkdirTemp(c.options.runDir(), stagingPrefix)
	if err != nil {
		return fmt.Errorf("make staging directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := writeStaging(dir, m.Files(0)); err != nil {
		return err
	}
	err = c.cfg.Process.Check(ctx, filepath.Join(dir, ConfigFile))
	if verdict := (*Verdict)(nil); errors.As(err, &verdict) {
		verdict.Text = strings.ReplaceAll(verdict.Text, dir+"/", "")
	}
	return err
}

// sweepStaging removes what a killed process left behind: copies may hold keys.
func (c *Controller) sweepStaging() {
	left, err := filepath.Glob(filepath.Join(c.options.runDir(), stagingPrefix+"*"))
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
