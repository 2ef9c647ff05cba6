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

	mu      sync.Mutex
	known   map[string][]netip.Addr // every wanted host; nil: asked, no address
	changed chan struct{}
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
	return &Resolver{cfg: cfg, known: map[string][]netip.Addr{}, changed: make(chan struct{})}
}

// Addresses are the last known addresses of a wanted host, sorted; shared, do not change.
func (r *Resolver) Addresses(host string) []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[host]
}

// Changed is closed when the addresses of any wanted host next change.
func (r *Resolver) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Want replaces the set of hosts and looks up the new ones, for as long as ctx allows.
// What is not answered in time is tried again by Run.
func (r *Resolver) Want(ctx context.Context, hosts []string) {
	r.mu.Lock()
	wanted := make(map[string][]netip.Addr, len(hosts))
	var fresh []string
	for _, host := range hosts {
		addrs, known := r.known[host]
		if _, twice := wanted[host]; !known && !twice {
			fresh = append(fresh, host)
		}
		wanted[host] = addrs
	}
	r.known = wanted
	r.mu.Unlock()
	r.lookup(ctx, fresh)
}

// Run looks all wanted hosts up again and again until ctx ends.
func (r *Resolver) Run(ctx context.Context) error {
	ticker := time.NewTicker(r.cfg.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		r.mu.Lock()
		hosts := sortedKeys(r.known)
		r.mu.Unlock()
		if r.lookup(ctx, hosts) {
			r.mu.Lock()
			close(r.changed)
			r.changed = make(chan struct{})
			r.mu.Unlock()
		}
	}
}

// lookup asks for hosts in parallel and reports whether any answer differs.
func (r *Resolver) lookup(ctx context.Context, hosts []string) bool {
	var group errgroup.Group
	group.SetLimit(r.cfg.Parallel)
	changes := make([]bool, len(hosts))
	for i, host := range hosts {
		group.Go(func() error {
			addrs, err := r.one(ctx, host)
			if err == nil {
				changes[i] = r.store(host, addrs)
			}
			return nil
		})
	}
	_ = group.Wait() // a failed lookup keeps what is known
	return slices.Contains(changes, true)
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

// store keeps the addresses of a host that is still wanted.
func (r *Resolver) store(host string, addrs []netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, wanted := r.known[host]
	if !wanted || slices.Equal(old, addrs) {
		return false
	}
	r.known[host] = addrs
	return true
}
