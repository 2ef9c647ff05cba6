package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	siblingsEvery = 2 * time.Second
	// siblingsLater is the same once a replica has served for a while.
	siblingsLater = 15 * time.Second
	// siblingsTrial is how long a replica that has just started gives way to another one that
	// started at the same moment. Docker's DNS has neither before both are healthy.
	siblingsTrial = 30 * time.Second
)

// errSiblings ends a replica that has just begun to serve beside another one.
var errSiblings = errors.New("other replicas run beside this one, each with a log of its own: give all of them one log (--nats-url, SLUICE_NATS_URL), or run one replica")

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
  %[1]s:
    environment: {SLUICE_NATS_URL: nats://broker:4222} # beside what it has
    secrets: [sluice_nats_token, sluice_cluster_key] # beside those it has
  broker:
    image: sluice # that of %[1]s
    command: [broker]
    networks: [default] # one of those of %[1]s, where it names any, or the name broker is not found
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
