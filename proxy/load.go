package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sluice/crdt/service"
)

// load makes HAProxy load what the model is as a whole, once HAProxy has been asked about
// it. If it does not serve that, the files that it serves are put back, so that a restart
// finds what works.
func (c *Controller) load(ctx context.Context, d Desired) error {
	if err := c.acceptable(ctx); err != nil {
		return err
	}
	began := time.Now()
	c.attempts++
	generation := c.attempts
	c.model.pool = c.poolSize()
	r := c.model.snapshot().render()
	files := r.at(generation)
	c.writer.wait()
	if err := c.write(files); err != nil {
		return err
	}
	if err := c.cfg.Process.Load(ctx, generation); err != nil {
		c.metrics.loaded("failed", 0)
		c.doubtful = true // perhaps for a local file that is not what it was
		c.rejectPorts(ctx, err)
		return c.putBack(err)
	}
	c.generation, c.served = generation, files
	c.metrics.loaded("ok", time.Since(began))
	if err := clean(c.options.CfgDir, files); err != nil {
		c.log.Warn().Err(err).Msg("old files are left")
	}
	c.live = newLive(c.model, c.cfg.Capabilities, c.names)
	c.model.settled()
	c.log.Info().Uint64("generation", generation).Int("services", len(c.current)).Str("because", c.pending).Dur("took", time.Since(began)).
		Msg("haproxy serves a new configuration")
	c.failures, c.retry = 0, time.Time{}
	c.adrift, c.unwritten, c.pending, c.digest, c.loadedAt = false, false, "", r.digest(), time.Now()
	c.ports = portSet(c.model.TCPPorts())
	state := c.cfg.Process.State(ctx)
	c.worker = state.Worker
	c.pace(state)
	c.keep(sortedKeys(c.current))
	if len(c.newcomers) == 0 {
		c.reportLive(d)
	}
	return nil
}

// The pool has room for a quarter more services than there are, within these bounds; one
// that was used up fast is larger the next time, the more often that happens.
const (
	leastPool = 256
	mostPool  = 8192
	fast      = 10 * time.Second
)

func (c *Controller) poolSize() int {
	if c.cfg.Capabilities.AddBackend {
		return 0
	}
	size := max(leastPool, len(c.current)/4)
	if c.live.low() && time.Since(c.loadedAt) < fast {
		c.rush++
		size = max(size, 2*c.rush*c.live.size)
	} else {
		c.rush = 0
	}
	return min(size, mostPool)
}

func (c *Controller) putBack(cause error) error {
	if !c.loaded() {
		return withRemedy(cause)
	}
	if err := c.write(c.served); err != nil {
		c.log.Error().Err(err).Msg("cannot put the previous configuration back")
	}
	return withRemedy(cause)
}

func withRemedy(err error) error {
	if strings.Contains(err.Error(), "cannot bind") {
		return fmt.Errorf("%w: stop the program that has the port, or choose another with DEFAULT_PORTS or BIND_PORTS", err)
	}
	return err
}

// revive starts a dead HAProxy with the files that were live, when the newest state
// cannot be: whatever is wrong with that must not cost the traffic too.
func (c *Controller) revive(ctx context.Context) error {
	if !c.loaded() || ctx.Err() != nil || c.cfg.Process.State(ctx).Up {
		return nil
	}
	if err := c.write(c.served); err != nil {
		return err
	}
	text, err := os.ReadFile(ConfigPath(c.options))
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	c.generation = generationIn(text)
	if err := c.cfg.Process.Load(ctx, c.generation); err != nil {
		return fmt.Errorf("start haproxy with the last good configuration: %w", err)
	}
	return nil
}

// rejectPorts quarantines the services that asked for a port which HAProxy cannot have:
// a definition must not keep all others from being loaded.
func (c *Controller) rejectPorts(ctx context.Context, cause error) {
	for _, port := range c.model.TCPPorts() {
		if c.ports[port] || !strings.Contains(cause.Error(), fmt.Sprintf(":%d]", port)) {
			continue
		}
		for _, name := range sortedKeys(c.current) {
			svc := c.current[name].svc
			if listensOn(&svc, port) {
				c.reject(ctx, name, fmt.Sprintf("srcPort %d is in use on this machine", port))
			}
		}
	}
}

func listensOn(s *service.Service, port int) bool {
	for i := range s.Destinations {
		d := &s.Destinations[i]
		if d.SrcPort == port && (d.ReqMode == service.TCP || d.ReqMode == service.SNI) {
			return true
		}
	}
	return false
}

func portSet(ports []int) map[int]bool {
	set := make(map[int]bool, len(ports))
	for _, p := range ports {
		set[p] = true
	}
	return set
}

// reloadAsIs loads the files as they stand on disk, edits of an operator included. They
// must describe a generation of their own, which is the one that comes up.
func (c *Controller) reloadAsIs(ctx context.Context) error {
	c.flush()
	path := ConfigPath(c.options)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := c.cfg.Process.Check(ctx, path); err != nil {
		return err
	}
	before := fmt.Sprintf("description gen-%d\n", c.generation)
	if !strings.Contains(string(data), before) {
		return fmt.Errorf("reload %s: its line %q is missing: reload with recreate=true", path, strings.TrimSpace(before))
	}
	c.attempts++
	next := c.attempts
	data = []byte(strings.Replace(string(data), before, fmt.Sprintf("description gen-%d\n", next), 1))
	if err := c.cfg.WriteFile(path, data, configMode); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	c.onDisk = nil
	if err := c.cfg.Process.Load(ctx, next); err != nil {
		c.metrics.loaded("failed", 0)
		return err
	}
	c.generation = next
	c.metrics.loaded("ok", 0)
	c.worker = c.cfg.Process.State(ctx).Worker
	// Its files are what a load of the model would have been, edits aside.
	c.live = newLive(c.model, c.cfg.Capabilities, c.names)
	c.publish(func(r *Report) { r.Generation = next })
	return nil
}

const saveEvery = 5 * time.Second

// save hands over what is live to be stored, now and then, or stores it at once with always.
func (c *Controller) save(always bool) {
	if c.cfg.LastGood == nil || !c.unsaved || !always && (c.writer.busy() || time.Since(c.saved) < saveEvery) {
		return
	}
	items := make([]Item, 0, len(c.good))
	for _, name := range sortedKeys(c.good) {
		g := c.good[name]
		items = append(items, Item{Name: g.name, Version: g.version, Value: g.value})
	}
	c.unsaved, c.saved = false, time.Now()
	store := func() error {
		if err := c.cfg.LastGood.Save(items); err != nil {
			return errors.Join(errors.New("cannot keep the last good versions"), err)
		}
		return nil
	}
	c.writer.start(store, func(err error) {
		if err != nil {
			c.log.Warn().Err(err).Msg("not saved")
		}
	})
}
