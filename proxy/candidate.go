package proxy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"sluice/crdt/service"
)

// candidate is a version of a service that may be served.
type candidate struct {
	name, version string
	value         []byte
	svc           service.Service
}

// ban keeps a version from being tried again for a while: the cause may be local, such as
// a port in use, and pass. The substitute serves instead, if any.
type ban struct {
	version, reason string
	substitute      *candidate
	// holder is the service that has what the version asks for, "" if there is none such.
	holder string
	// until is set once the others are live without this version: before that, trying it
	// again would keep them from it.
	until time.Time
}

// longestBan is the most that the time until a banned version is tried again grows to.
const longestBan = 10 * time.Minute

// ban quarantines the version that an item has now and looks for one to serve instead:
// the one that was live, else the newest earlier one that HAProxy takes.
func (c *Controller) ban(ctx context.Context, it Item, reason string) *ban {
	c.banTime[it.Name] = min(max(2*c.banTime[it.Name], c.cfg.Ban), longestBan)
	b := &ban{version: it.Version, reason: reason}
	c.banned[it.Name] = b
	if good, ok := c.good[it.Name]; ok && good.version != it.Version {
		b.substitute = &good
	} else {
		b.substitute = c.earlier(ctx, it)
	}
	serving := "none"
	if b.substitute != nil {
		serving = b.substitute.version
	}
	c.log.Error().Str("service", it.Name).Str("version", it.Version).Str("reason", reason).Str("serving", serving).
		Msg("service version quarantined")
	return b
}

// maxEarlier bounds how many earlier versions are tried.
const maxEarlier = 8

func (c *Controller) earlier(ctx context.Context, it Item) *candidate {
	if c.cfg.Earlier == nil {
		return nil
	}
	values, err := c.cfg.Earlier(ctx, it.Name)
	if err != nil {
		c.log.Warn().Err(err).Str("service", it.Name).Msg("cannot read earlier versions")
		return nil
	}
	for _, value := range values[:min(len(values), maxEarlier)] {
		if slices.Equal(value, it.Value) {
			continue
		}
		old := Item{Name: it.Name, Version: earlierVersion(value), Value: value}
		svc, err := decode(old)
		if err != nil || svc.Validate(c.cfg.Limits) != nil {
			continue
		}
		found := candidate{old.Name, old.Version, value, svc}
		if c.try(ctx, []candidate{found}) == nil {
			return &found
		}
	}
	return nil
}

// earlierVersion tells the versions apart that come from the log's history.
func earlierVersion(value []byte) string {
	return fmt.Sprintf("earlier-%x", sha256.Sum256(value))[:24]
}

// reject takes a service's current candidate out of the running: the newest version is
// banned, or its substitute dropped if that was it.
func (c *Controller) reject(ctx context.Context, name, reason string) {
	if b := c.banned[name]; b != nil {
		b.substitute = nil
		delete(c.good, name)
		c.substitute(name, b)
		return
	}
	if it, found := c.item(name); found {
		c.substitute(name, c.ban(ctx, it, reason))
	}
}

// keep remembers the versions of the named services as live.
func (c *Controller) keep(names []string) {
	for _, name := range names {
		cand, serves := c.current[name]
		if old, ok := c.good[name]; serves && (!ok || old.version != cand.version) {
			c.good[name] = cand
			c.unsaved = true
		}
	}
}

// startBans starts the clock of the bans that made it possible that the others are live.
func (c *Controller) startBans() {
	for name, b := range c.banned {
		if b.until.IsZero() {
			b.until = time.Now().Add(c.banTime[name])
		}
	}
}

// restore reads what was live before the restart.
func (c *Controller) restore() {
	if c.cfg.LastGood == nil {
		return
	}
	items, err := c.cfg.LastGood.Load()
	if err != nil {
		c.log.Warn().Err(err).Msg("cannot read the last good versions")
		return
	}
	for _, it := range items {
		if svc, err := decode(it); err == nil && svc.Validate(c.cfg.Limits) == nil {
			c.good[it.Name] = candidate{it.Name, it.Version, it.Value, svc}
		}
	}
}
