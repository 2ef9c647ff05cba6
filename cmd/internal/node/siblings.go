package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	siblingsEvery = 2 * time.Second
	// siblingsLater is the same once a replica has served for a while.
	siblingsLater = 15 * time.Second
	// siblingsTimeout bounds one question: Docker answers at once for names that it knows, and
	// asks the outside for others.
	siblingsTimeout = time.Second
	// siblingsTrial is how long a replica that has just started gives way to another one that
	// started at the same moment. Docker's DNS has neither before both are healthy.
	siblingsTrial = 30 * time.Second
)

// errSiblings ends a replica that has just begun to serve beside another one.
var errSiblings = errors.New("other replicas run beside this one, each with a log of its own: give all of them one log (--nats-url, SLUICE_NATS_URL), or run one replica")

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
	log           zerolog.Logger

	mu      sync.Mutex
	problem string
}

// newSiblings is nil outside of Docker's own networks.
func newSiblings(c Config, log zerolog.Logger) *siblings {
	if !c.NATS.Embedded() || c.ServiceName == "" || !dockerResolves("/etc/resolv.conf") {
		return nil
	}
	return &siblings{
		service: c.ServiceName, task: c.Name, log: log, own: ownPrefixes,
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		},
		reverse: net.DefaultResolver.LookupAddr,
	}
}

// dockerResolves reports whether names are asked of Docker.
func dockerResolves(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && slices.Contains(strings.Fields(string(data)), "127.0.0.11")
}

// ownPrefixes are this container's addresses with their networks.
func ownPrefixes() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list own addresses: %w", err)
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p)
		}
	}
	return out, nil
}

// found are the other tasks, and whether one of them is before this one in a fixed order.
type found struct {
	others []netip.Addr
	behind bool
}

// look asks the DNS. Addresses outside of the own networks are somebody else's: a search
// domain may answer any name.
func (s *siblings) look(ctx context.Context) found {
	ctx, cancel := context.WithTimeout(ctx, siblingsTimeout)
	defer cancel()
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
		if i < 0 || slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr() == a.Unmap() }) || s.predecessor(ctx, a) {
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

// await blocks until this replica is alone, and tells what to do if it is not.
func (s *siblings) await(ctx context.Context) error {
	for told := false; ; {
		f := s.look(ctx)
		if len(f.others) == 0 {
			s.set("")
			return ctx.Err()
		}
		s.set(fmt.Sprintf("tasks.%s has other replicas (%v), and this one has a log of its own: it stays unready until all have one log (SLUICE_NATS_URL)", s.service, f.others))
		if !told {
			told = true
			s.log.Error().Stringers("others", stringers(f.others)).Msg("other replicas run, and this one has a log of its own: it stays unready, or they would drift apart")
			s.remedy()
		}
		if err := wait(ctx, siblingsEvery); err != nil {
			return err
		}
	}
}

// watch tells about replicas that appear later, until ctx ends.
func (s *siblings) watch(ctx context.Context) error {
	trial, cancel := context.WithTimeout(ctx, siblingsTrial)
	defer cancel()
	for told, every := false, siblingsEvery; ; {
		f := s.look(ctx)
		if trial.Err() != nil {
			every = siblingsLater
		}
		switch {
		case len(f.others) == 0:
			told = false
			s.set("")
		case f.behind && trial.Err() == nil:
			s.remedy()
			return fmt.Errorf("%w: %v are tasks.%s", errSiblings, f.others, s.service)
		case !told:
			told = true
			s.set(fmt.Sprintf("tasks.%s has other replicas (%v), each with a log of its own: changes sent to one of them do not reach the others; give all of them one log (SLUICE_NATS_URL)", s.service, f.others))
			s.log.Error().Stringers("others", stringers(f.others)).Msg("other replicas have appeared, each with a log of its own: this one serves on, but changes do not reach the others")
			s.remedy()
		}
		if err := wait(ctx, every); err != nil {
			return err
		}
	}
}

// remedy prints what a stack needs for several replicas, as lines to copy.
func (s *siblings) remedy() {
	for _, line := range strings.Split(fmt.Sprintf(siblingsRemedy, s.service), "\n") {
		s.log.Error().Str("line", line).Msg("add to the stack")
	}
}

const siblingsRemedy = `# Several replicas need one log. One replica needs nothing, but update_config order: stop-first.
services:
  %s:
    environment: {SLUICE_NATS_URL: nats://broker:4222}
    secrets: [sluice_nats_token, sluice_cluster_key]
  broker:
    image: sluice
    command: [broker]
    volumes: [broker:/var/lib/sluice]
    secrets: [sluice_nats_token]
    deploy: {endpoint_mode: dnsrr, update_config: {order: stop-first}}
volumes: {broker: {}}
secrets: {sluice_nats_token: {external: true}, sluice_cluster_key: {external: true}}
# before: openssl rand -hex 24 | docker secret create sluice_nats_token -
# before: openssl rand -hex 24 | docker secret create sluice_cluster_key -`

func (s *siblings) set(problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problem = problem
}

// trouble is what an operator should know; safe for nil.
func (s *siblings) trouble() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

func stringers(addrs []netip.Addr) []fmt.Stringer {
	out := make([]fmt.Stringer, len(addrs))
	for i, a := range addrs {
		out[i] = a
	}
	return out
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
