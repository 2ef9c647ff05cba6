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

type decodedItem struct {
	version string
	svc     service.Service
	err     error
}

// ban keeps a version from being tried again for a while: the cause may be local, such as
// a port in use, and pass. The substitute serves instead, if any.
type ban struct {
	version, reason string
	substitute      *candidate
	// until is set once the others are live without this version: before that, trying it
	// again would keep them from it.
	until time.Time
}

// longestBan is the most that the time until a banned version is tried again grows to.
const longestBan = 10 * time.Minute

// candidates are the versions to serve for the desired items: the newest ones, or their
// substitutes where the newest is banned.
func (c *Controller) candidates(ctx context.Context, d Desired) []candidate {
	c.forget(d)
	list := make([]candidate, 0, len(d.Items))
	for _, it := range d.Items {
		b := c.banned[it.Name]
		if b == nil {
			svc, err := c.decode(it)
			if err == nil {
				list = append(list, candidate{it.Name, it.Version, it.Value, svc})
				continue
			}
			b = c.ban(ctx, it, err.Error())
		}
		if b.substitute != nil {
			list = append(list, *b.substitute)
		}
	}
	return list
}

// forget lifts bans that newer versions or removals have overtaken, and drops what is
// known of services that are gone.
func (c *Controller) forget(d Desired) {
	now := make(map[string]string, len(d.Items))
	for _, it := range d.Items {
		now[it.Name] = it.Version
	}
	for name, b := range c.banned {
		switch {
		case now[name] != b.version:
			delete(c.banned, name)
			delete(c.banTime, name)
		case !b.until.IsZero() && time.Now().After(b.until):
			delete(c.banned, name)
		}
	}
	for name := range c.decoded {
		if _, ok := now[name]; !ok {
			delete(c.decoded, name)
		}
	}
	for name := range c.good {
		if _, ok := now[name]; !ok && c.live.loaded {
			delete(c.good, name)
			c.unsaved = true
		}
	}
}

func (c *Controller) decode(it Item) (service.Service, error) {
	if known, ok := c.decoded[it.Name]; ok && known.version == it.Version {
		return known.svc, known.err
	}
	svc, err := decode(it)
	if err == nil {
		err = svc.Validate(c.cfg.Limits)
	}
	c.decoded[it.Name] = decodedItem{it.Version, svc, err}
	return svc, err
}

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
func (c *Controller) reject(ctx context.Context, d Desired, name, reason string) {
	if b := c.banned[name]; b != nil {
		b.substitute = nil
		delete(c.good, name)
		return
	}
	i, found := slices.BinarySearchFunc(d.Items, name, func(it Item, n string) int { return compareStrings(it.Name, n) })
	if found {
		c.ban(ctx, d.Items[i], reason)
	}
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// keep remembers what is live now, and starts the clock of the bans that made it possible.
func (c *Controller) keep(list []candidate) {
	c.serving.set(list)
	for _, cand := range list {
		if old, ok := c.good[cand.name]; !ok || old.version != cand.version {
			c.good[cand.name] = cand
			c.unsaved = true
		}
	}
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
