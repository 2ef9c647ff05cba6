package proxy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/crdt/service"
)

// load writes the model's files and makes HAProxy serve them. If it does not, the files
// that it serves are put back, so that a restart finds what works.
func (c *Controller) load(ctx context.Context, d Desired, m *Model, list []candidate) error {
	began := time.Now()
	generation := c.generation + 1
	files := m.Files(generation)
	if err := c.write(files); err != nil {
		return err
	}
	c.generation = generation // even a load that fails may have reached a worker
	if err := c.cfg.Process.Load(ctx, generation); err != nil {
		c.metrics.loaded("failed", 0)
		c.rejectPorts(ctx, d, m, list, err)
		return c.putBack(err)
	}
	c.metrics.loaded("ok", time.Since(began))
	c.clean(files)
	c.live.files, c.live.loaded = files, true
	c.live.ports = portSet(m.TCPPorts())
	c.log.Info().Uint64("generation", generation).Int("services", len(list)).Dur("took", time.Since(began)).Msg("haproxy serves a new configuration")
	return nil
}

// write replaces the files that differ on disk, the configuration itself last: it refers
// to the others.
func (c *Controller) write(files []File) error {
	ordered := slices.Clone(files)
	slices.SortStableFunc(ordered, func(a, b File) int { return isConfig(a) - isConfig(b) })
	for _, f := range ordered {
		path := filepath.Join(c.options.CfgDir, f.Name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, f.Data) {
			continue
		}
		if err := c.cfg.WriteFile(path, f.Data, f.Mode); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
	}
	return nil
}

func isConfig(f File) int {
	if f.Name == ConfigFile {
		return 1
	}
	return 0
}

func (c *Controller) putBack(cause error) error {
	if !c.live.loaded {
		return withRemedy(cause)
	}
	if err := c.write(c.live.files); err != nil {
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
	if !c.live.loaded || ctx.Err() != nil || c.cfg.Process.State(ctx).Up {
		return nil
	}
	if err := c.write(c.live.files); err != nil {
		return err
	}
	text, err := os.ReadFile(ConfigPath(c.options))
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	generation := generationIn(text)
	if err := c.cfg.Process.Load(ctx, generation); err != nil {
		return fmt.Errorf("start haproxy with the last good configuration: %w", err)
	}
	return nil
}

// generationIn is the generation that a configuration describes, 0 for none.
func generationIn(config []byte) uint64 {
	_, rest, _ := strings.Cut(string(config), "description gen-")
	digits, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// rejectPorts quarantines the services that asked for a port which HAProxy cannot have:
// a definition must not keep all others from being loaded.
func (c *Controller) rejectPorts(ctx context.Context, d Desired, m *Model, list []candidate, cause error) {
	for _, port := range m.TCPPorts() {
		if c.live.ports[port] || !strings.Contains(cause.Error(), fmt.Sprintf(":%d]", port)) {
			continue
		}
		for i := range list {
			if listensOn(&list[i].svc, port) {
				c.reject(ctx, d, list[i].name, fmt.Sprintf("srcPort %d is in use on this machine", port))
			}
		}
	}
}

func listensOn(s *service.Service, port int) bool {
	return slices.ContainsFunc(s.Destinations, func(d service.Destination) bool {
		return d.SrcPort == port && (d.ReqMode == service.TCP || d.ReqMode == service.SNI)
	})
}

func portSet(ports []int) map[int]bool {
	set := make(map[int]bool, len(ports))
	for _, p := range ports {
		set[p] = true
	}
	return set
}

// clean removes maps and certificates that the configuration no longer refers to.
func (c *Controller) clean(files []File) {
	wanted := make(map[string]bool, len(files))
	for _, f := range files {
		wanted[f.Name] = true
	}
	for _, sub := range []string{"maps", "certs"} {
		entries, err := os.ReadDir(filepath.Join(c.options.CfgDir, sub))
		if err != nil {
			c.log.Warn().Err(err).Msg("cannot list old files")
			continue
		}
		for _, e := range entries {
			name := sub + "/" + e.Name()
			if e.IsDir() || wanted[name] {
				continue
			}
			if err := os.Remove(filepath.Join(c.options.CfgDir, name)); err != nil {
				c.log.Warn().Err(err).Msg("cannot remove an old file")
			}
		}
	}
}

// reloadAsIs loads the files as they stand on disk, edits of an operator included. They
// must describe a generation of their own, which is the one that comes up.
func (c *Controller) reloadAsIs(ctx context.Context) error {
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
	next := c.generation + 1
	data = []byte(strings.Replace(string(data), before, fmt.Sprintf("description gen-%d\n", next), 1))
	if err := c.cfg.WriteFile(path, data, configMode); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	c.generation = next
	if err := c.cfg.Process.Load(ctx, next); err != nil {
		c.metrics.loaded("failed", 0)
		return err
	}
	c.metrics.loaded("ok", 0)
	c.publish(func(r *Report) { r.Generation = next })
	return nil
}

const saveEvery = 5 * time.Second

// save stores what is live, now and then, or at once with always.
func (c *Controller) save(always bool) {
	if c.cfg.LastGood == nil || !c.unsaved || !always && time.Since(c.saved) < saveEvery {
		return
	}
	items := make([]Item, 0, len(c.good))
	for _, name := range sortedKeys(c.good) {
		g := c.good[name]
		items = append(items, Item{Name: g.name, Version: g.version, Value: g.value})
	}
	if err := c.cfg.LastGood.Save(items); err != nil {
		c.log.Warn().Err(err).Msg("cannot keep the last good versions")
		return
	}
	c.unsaved, c.saved = false, time.Now()
}
