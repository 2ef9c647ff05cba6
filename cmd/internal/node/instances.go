package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// instances are the base URLs of the API of all tasks of the replicas' Swarm service, found as
// Docker Flow Proxy found them; none while no other replica is heard of.
func (n *Node) instances(ctx context.Context) ([]string, error) {
	if len(n.status.roster.Replicas()) < 2 {
		return nil, nil
	}
	return instancesOf(ctx, net.DefaultResolver.LookupNetIP, n.cfg.ServiceName, n.cfg.APIAddr)
}

func instancesOf(ctx context.Context, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error), service, apiAddr string) ([]string, error) {
	_, port, err := net.SplitHostPort(apiAddr)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", setAPIAddr, err)
	}
	addrs, err := lookup(ctx, "ip", "tasks."+service)
	if err != nil {
		return nil, fmt.Errorf("the replicas are not found by name, is SERVICE_NAME right: %w", err)
	}
	var bases []string
	for _, a := range addrs {
		bases = append(bases, "http://"+net.JoinHostPort(a.Unmap().String(), port))
	}
	return bases, nil
}
