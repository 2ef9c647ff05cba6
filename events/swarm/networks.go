package swarm

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// preference chooses among the addresses of a container: the proxies reach only those in
// networks that they are in.
type preference struct {
	// network is what the labels name; empty: none.
	network string
	// own are the networks of the watcher, which is beside the proxies or in one.
	own []netip.Prefix
	// project is the compose project, whose own networks others are seldom in.
	project string
}

func (d *docker) preference(network, project string) preference {
	p := preference{network: network, project: project}
	if d.networks != nil {
		p.own, _ = d.networks() // untold: no preference
	}
	return p
}

// address is the container's in the network that comes first, of equals the first by name.
func (p preference) address(c *container.Summary) (netip.Addr, bool) {
	if c.NetworkSettings == nil {
		return netip.Addr{}, false
	}
	networks := c.NetworkSettings.Networks
	var names []string
	for name, n := range networks {
		if n != nil && n.IPAddress.IsValid() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return netip.Addr{}, false
	}
	rank := func(name string) int { return p.rank(name, networks[name].IPAddress.Unmap()) }
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(rank(a)-rank(b), cmp.Compare(a, b)) })
	return networks[names[0]].IPAddress.Unmap(), true
}

// rank is the less the likelier the proxies are in the network.
func (p preference) rank(network string, addr netip.Addr) int {
	rank := 0
	if !slices.ContainsFunc(p.own, func(own netip.Prefix) bool { return own.Contains(addr) }) {
		rank += 4
	}
	if network == "bridge" { // what has networks of its own is there by accident
		rank += 2
	}
	// A watcher on the host itself is in all networks.
	if p.project != "" && strings.HasPrefix(network, p.project+"_") {
		rank++
	}
	if network == p.network {
		rank = -1
	}
	return rank
}
