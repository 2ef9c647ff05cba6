package proxy

import (
	"context"
	"slices"
	"strings"
	"time"
)

// newLookup bounds the wait for the addresses of a service's new hosts; at the start, where
// an answer that comes late is a request that fails, firstLookup does.
const (
	newLookup   = time.Second
	firstLookup = 3 * time.Second
)

// newcomer is a version whose hosts have not been answered for yet.
type newcomer struct {
	candidate
	until time.Time
}

// take brings the model from the items taken before to the desired ones.
func (c *Controller) take(ctx context.Context, d Desired) {
	if news := c.resolver.News(); news != nil {
		c.model.Readdress(news)
	}
	for _, name := range changedItems(c.overlays, d.Overlays) {
		it, _ := findItem(d.Overlays, name)
		c.model.Overlay(name, it.Value)
		if now, serves := c.current[name]; serves { // it may tell that tasks come and go
			c.resolver.Again(hostsOf(&now.svc))
		}
	}
	c.overlays = d.Overlays
	before := c.items
	c.items = d.Items
	for _, name := range changedItems(before, d.Items) {
		c.turn(ctx, name)
	}
	c.endBans(ctx)
	for _, name := range sortedKeys(c.newcomers) {
		c.tryAdmit(ctx, name)
	}
}

// changedItems are the names of the items that differ between two sorted lists.
func changedItems(before, after []Item) []string {
	var names []string
	i, j := 0, 0
	for i < len(before) || j < len(after) {
		switch {
		case j == len(after) || i < len(before) && before[i].Name < after[j].Name:
			names = append(names, before[i].Name)
			i++
		case i == len(before) || after[j].Name < before[i].Name:
			names = append(names, after[j].Name)
			j++
		default:
			if before[i].Version != after[j].Version {
				names = append(names, after[j].Name)
			}
			i, j = i+1, j+1
		}
	}
	return names
}

// item is the desired one of a service; false: there is none.
func (c *Controller) item(name string) (Item, bool) { return findItem(c.items, name) }

func findItem(items []Item, name string) (Item, bool) {
	i, found := slices.BinarySearchFunc(items, name, func(it Item, n string) int { return strings.Compare(it.Name, n) })
	if !found {
		return Item{}, false
	}
	return items[i], true
}

// turn makes the newest version of a service the one to serve, or a substitute if it is
// banned or turns out to be unusable.
func (c *Controller) turn(ctx context.Context, name string) {
	it, wanted := c.item(name)
	if b := c.banned[name]; b != nil && (!wanted || b.version != it.Version) {
		delete(c.banned, name)
		delete(c.banTime, name)
	}
	if !wanted {
		c.drop(name)
		return
	}
	if b := c.banned[name]; b != nil {
		c.substitute(name, b)
		return
	}
	svc, err := decode(it)
	if err == nil {
		err = svc.Validate(c.cfg.Limits)
	}
	if err != nil {
		c.substitute(name, c.ban(ctx, it, err.Error()))
		return
	}
	patience := newLookup
	if !c.loaded() {
		patience = firstLookup
	}
	c.newcomers[name] = newcomer{candidate{it.Name, it.Version, it.Value, svc}, time.Now().Add(patience)}
	c.tryAdmit(ctx, name)
}

// drop forgets a service.
func (c *Controller) drop(name string) {
	c.model.Remove(name)
	c.resolver.Use(name, nil)
	delete(c.newcomers, name)
	delete(c.current, name)
	if _, known := c.good[name]; known && c.loaded() {
		delete(c.good, name)
		c.unsaved = true
	}
}

// substitute serves what stands in for a banned version, if anything does.
func (c *Controller) substitute(name string, b *ban) {
	delete(c.newcomers, name)
	if b.substitute != nil {
		c.admit(*b.substitute)
		return
	}
	c.model.Remove(name)
	c.resolver.Use(name, nil)
	delete(c.current, name)
}

// tryAdmit serves a newcomer as soon as its hosts are answered for, or have been waited for
// long enough: what it replaces serves until then.
func (c *Controller) tryAdmit(ctx context.Context, name string) {
	n, ok := c.newcomers[name]
	if !ok {
		return
	}
	hosts := hostsOf(&n.svc)
	if known := c.resolver.Known(hosts); !known && time.Now().Before(n.until) {
		if now, serves := c.current[name]; serves {
			hosts = append(hosts, hostsOf(&now.svc)...)
		}
		c.resolver.Use(name, hosts)
		return
	}
	delete(c.newcomers, name)
	c.admit(n.candidate)
	if r := c.model.refusal(name); r != nil {
		c.reject(ctx, name, r.Error())
	}
}

// admit puts a version into the model.
func (c *Controller) admit(cand candidate) {
	c.resolver.Use(cand.name, hostsOf(&cand.svc))
	c.current[cand.name] = cand
	c.model.Put(&cand.svc)
	c.doubtful = c.doubtful || !c.model.plainService(cand.name)
}

// endBans tries versions again whose ban is over, or whose rival is gone.
func (c *Controller) endBans(ctx context.Context) {
	for _, name := range sortedKeys(c.banned) {
		b := c.banned[name]
		_, held := c.current[b.holder]
		if over := !b.until.IsZero() && time.Now().After(b.until); over || b.holder != "" && !held {
			delete(c.banned, name)
			c.turn(ctx, name)
		}
	}
}
