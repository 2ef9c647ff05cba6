package proxy

import (
	"net/netip"
	"slices"

	"sluice/crdt/service"
)

// own is what of this replica itself answers at an address, "" for nothing. Names are judged
// here, behind their resolution: whoever owns a name may let it lead to this machine.
func (v *View) own(addr netip.Addr, port int) string {
	addr = addr.Unmap()
	here := addr.IsLoopback() || addr.IsUnspecified()
	if !here && !slices.Contains(v.Interfaces, addr) {
		return ""
	}
	for _, o := range v.OwnPorts {
		if o.Port == port && (here || !o.Addr.IsValid() || o.Addr.Unmap() == addr) {
			return o.Use
		}
	}
	return ""
}

// ownPort reports whether this replica listens on the port at all.
func (v *View) ownPort(port int) bool {
	return slices.ContainsFunc(v.OwnPorts, func(o service.OwnPort) bool { return o.Port == port })
}

// foreign are the addresses that a server with the port may have.
func (v *View) foreign(list []netip.Addr, port int) []netip.Addr {
	if !v.ownPort(port) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(addr netip.Addr) bool { return v.own(addr, port) != "" })
}

// firstForeign is what the first list that has any has of addresses which a server with the
// port may have.
func (v *View) firstForeign(port int, lists ...[]netip.Addr) []netip.Addr {
	for _, list := range lists {
		if list = v.foreign(list, port); len(list) > 0 {
			return list
		}
	}
	return nil
}

// foreignHosts refuses a service that is to be sent to an address of this replica itself.
func (v *View) foreignHosts(s *service.Service) *Refusal {
	for i := range s.Destinations {
		d := &s.Destinations[i]
		addr, err := netip.ParseAddr(s.Host(d))
		if err != nil {
			continue
		}
		for _, port := range []int{d.Port, d.HTTPSPort} {
			if use := v.own(addr, port); use != "" {
				return refusal(s, "outboundHostname", "port %d of %s is the proxy's own (%s)", port, addr, use)
			}
		}
	}
	return nil
}

// samePlace reports whether the same is this replica's own.
func (v *View) samePlace(o *View) bool {
	return slices.Equal(v.Interfaces, o.Interfaces) && slices.Equal(v.OwnPorts, o.OwnPorts)
}

// place is what is known of this replica's own at any time, for any goroutine.
func (c *Controller) place() *View {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &View{OwnPorts: c.cfg.Limits.OwnPorts, Interfaces: c.interfaces}
}

// locate looks at the addresses of this machine, and keeps those of before if they cannot be told.
func (c *Controller) locate() []netip.Addr {
	if c.cfg.Interfaces == nil {
		return nil
	}
	list, err := c.cfg.Interfaces()
	if err != nil {
		c.log.Warn().Err(err).Msg("cannot tell the addresses of this machine")
	}
	slices.SortFunc(list, netip.Addr.Compare)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.interfaces = slices.Compact(list)
	}
	return c.interfaces
}
