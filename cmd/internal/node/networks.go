package node

import (
	"fmt"
	"net"
	"net/netip"
)

// OwnNetworks are the addresses of this machine or container, with their networks.
func OwnNetworks() ([]netip.Prefix, error) {
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

// ownAddresses are those without the networks.
func ownAddresses() ([]netip.Addr, error) {
	networks, err := OwnNetworks()
	addrs := make([]netip.Addr, len(networks))
	for i, p := range networks {
		addrs[i] = p.Addr().Unmap()
	}
	return addrs, err
}
