package node

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// siblingsTimeout bounds one question: Docker answers at once for names that it knows, and asks
// the outside for others.
const siblingsTimeout = time.Second

// siblings looks for other tasks of the same Swarm service. Replicas with a log of their own
// each would drift apart without anybody noticing: one that finds another never gets ready,
// and one that serves already goes on and tells.
type siblings struct {
	// service is the name behind tasks.<service>, task this task's own if the stack tells it
	// ("{{.Task.Name}}": <service>.<slot>.<id>).
	service, task string
	lookup        func(ctx context.Context, host string) ([]netip.Addr, error)
	reverse       func(ctx context.Context, addr string) ([]string, error)
	own           func() ([]netip.Prefix, error)
	// foreign reports whether it is certainly not Sluice that answers at an address.
	foreign func(ctx context.Context, addr netip.Addr) bool
	log     zerolog.Logger

	mu      sync.Mutex
	problem string
}

// newSiblings is nil outside of Docker's own networks.
func newSiblings(c Config, log zerolog.Logger) *siblings {
	if !c.NATS.Embedded() || c.ServiceName == "" || !dockerResolves("/etc/resolv.conf") {
		return nil
	}
	return &siblings{
		service: c.ServiceName, task: c.Name, log: log, own: OwnNetworks, foreign: foreignAPI(c.APIAddr),
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			ctx, cancel := context.WithTimeout(ctx, siblingsTimeout)
			defer cancel()
			return net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		},
		reverse: func(ctx context.Context, addr string) ([]string, error) {
			ctx, cancel := context.WithTimeout(ctx, siblingsTimeout)
			defer cancel()
			return net.DefaultResolver.LookupAddr(ctx, addr)
		},
	}
}

// dockerResolves reports whether names are asked of Docker.
func dockerResolves(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && slices.Contains(strings.Fields(string(data)), "127.0.0.11")
}

// found are the other tasks, and whether one of them is before this one in a fixed order.
type found struct {
	others []netip.Addr
	behind bool
}

// look asks the DNS. Addresses outside of the own networks are somebody else's, since a search
// domain may answer any name, and so are those where something else than Sluice answers: every
// stack on a network may have a service of the same short name.
func (s *siblings) look(ctx context.Context) found {
	addrs, err := s.lookup(ctx, "tasks."+s.service+".")
	if err != nil {
		return found{} // no such service, or no answer: nothing speaks against being alone
	}
	own, err := s.own()
	if err != nil {
		s.log.Debug().Err(err).Msg("looking for other replicas")
		return found{}
	}
	var f found
	for _, a := range addrs {
		i := slices.IndexFunc(own, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
		if i < 0 || slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr() == a.Unmap() }) ||
			s.predecessor(ctx, a) || s.foreign(ctx, a.Unmap()) {
			continue
		}
		f.others = append(f.others, a)
		f.behind = f.behind || a.Unmap().Less(own[i].Addr())
	}
	return f
}

// predecessor reports whether the task there has this one's slot, so that it will be gone as
// soon as this one is ready: an update with order start-first.
func (s *siblings) predecessor(ctx context.Context, a netip.Addr) bool {
	parts := strings.Split(s.task, ".")
	if len(parts) < 3 {
		return false
	}
	slot := strings.Join(parts[:len(parts)-1], ".") + "."
	names, err := s.reverse(ctx, a.String())
	return err == nil && slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, slot) })
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
