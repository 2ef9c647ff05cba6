package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// ResolverConfig tells how hosts are looked up; zero durations and counts get defaults.
type ResolverConfig struct {
	// Lookup gives the addresses of a name, as net.DefaultResolver.LookupNetIP with "ip".
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Interval is how often known names are looked up again (5 s); Timeout bounds one
	// lookup (2 s); Parallel is how many run at a time (32).
	Interval, Timeout time.Duration
	Parallel          int
}

// Resolver looks up every host for HAProxy, so that a name that does not resolve never
// keeps HAProxy from starting. It remembers the last known addresses when a lookup fails.
// Its methods are safe for concurrent use.
type Resolver struct {
	cfg ResolverConfig

	mu    sync.Mutex
	hosts map[string]*host    // that anybody uses
	uses  map[string][]string // hosts of each user
	fresh []string            // to be looked up at once
	// differ are the hosts whose addresses, or the lack of them, are news.
	differ  map[string]bool
	changed chan struct{}
	wake    chan struct{}
}

// host is what is known of a name.
type host struct {
	users int
	// asked: there was an answer, if only that there is no address.
	asked bool
	addrs []netip.Addr
}

// NewResolver makes a Resolver that knows nothing yet.
func NewResolver(cfg ResolverConfig) *Resolver {
	if cfg.Interval == 0 {
		cfg.Interval = 5 * time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = 32
	}
	return &Resolver{
		cfg: cfg, hosts: map[string]*host{}, uses: map[string][]string{}, differ: map[string]bool{},
		changed: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// Addresses are the last known addresses of a host in use, sorted; shared, do not change.
func (r *Resolver) Addresses(name string) []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.hosts[name]; h != nil {
		return h.addrs
	}
	return nil
}

// Known reports whether there was an answer about each of the hosts in use.
func (r *Resolver) Known(names []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.ContainsFunc(names, func(n string) bool { return r.hosts[n] == nil || !r.hosts[n].asked })
}

// Use says which hosts a user needs from now on, instead of those before. New ones are
// looked up at once.
func (r *Resolver) Use(user string, names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.uses[user]
	for _, name := range names {
		h := r.hosts[name]
		if h == nil {
			h = &host{}
			r.hosts[name] = h
			r.fresh = append(r.fresh, name)
		}
		h.users++
	}
	for _, name := range before {
		h := r.hosts[name]
		if h.users--; h.users == 0 {
			delete(r.hosts, name)
		}
	}
	if len(names) == 0 {
		delete(r.uses, user)
	} else {
		r.uses[user] = slices.Clone(names)
	}
	r.rouse()
}

// Again looks hosts in use up at once: there is word that their addresses change.
func (r *Resolver) Again(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if r.hosts[name] != nil && !slices.Contains(r.fresh, name) {
			r.fresh = append(r.fresh, name)
		}
	}
	r.rouse()
}

// rouse has fresh hosts looked up; the caller holds mu.
func (r *Resolver) rouse() {
	if len(r.fresh) > 0 {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// Changed is closed when there is next news of a host in use. Take it before News.
func (r *Resolver) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// News are the hosts whose addresses have changed since the call before; nil: none.
func (r *Resolver) News() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.differ) == 0 {
		return nil
	}
	news := r.differ
	r.differ = map[string]bool{}
	return news
}

// Run looks new hosts up at once and all again and again, until ctx ends.
func (r *Resolver) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.sweep(ctx) })
	group.Go(func() error { return r.welcome(ctx) })
	return group.Wait()
}

func (r *Resolver) sweep(ctx context.Context) error {
	ticker := time.NewTicker(r.cfg.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		r.mu.Lock()
		names := sortedKeys(r.hosts)
		r.mu.Unlock()
		var group errgroup.Group
		group.SetLimit(r.cfg.Parallel)
		for _, name := range names {
			group.Go(func() error { r.lookup(ctx, name); return nil })
		}
		_ = group.Wait() // a failed lookup keeps what is known
	}
}

// welcome looks new hosts up; a slow one does not keep the others waiting.
func (r *Resolver) welcome(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(r.cfg.Parallel)
	for {
		select {
		case <-ctx.Done():
			_ = group.Wait() // lookups report by themselves
			return ctx.Err()
		case <-r.wake:
		}
		r.mu.Lock()
		fresh := r.fresh
		r.fresh = nil
		r.mu.Unlock()
		for _, name := range fresh {
			group.Go(func() error { r.lookup(ctx, name); return nil })
		}
	}
}

func (r *Resolver) lookup(ctx context.Context, name string) {
	addrs, err := r.one(ctx, name)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hosts[name]
	if h == nil { // nobody wants it any more
		return
	}
	first := !h.asked
	h.asked = true
	if differs := err == nil && !slices.Equal(h.addrs, addrs); differs {
		h.addrs, r.differ[name] = addrs, true
	} else if !first {
		return
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Resolver) one(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	addrs, err := r.cfg.Lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("look up %s: no address", host)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap().WithZone("")
	}
	if slices.ContainsFunc(addrs, netip.Addr.Is4) {
		// A name with both families names one service twice, and many listen on IPv4 only.
		addrs = slices.DeleteFunc(addrs, netip.Addr.Is6)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}
