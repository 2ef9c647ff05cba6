package service

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// normal is the overlay with one spelling of everything, or Errors.
func (o Overlay) normal() (Overlay, error) {
	var p problems
	c := Overlay{Setting: o.Setting}
	p.setting("", o.Setting)
	if c.State == Ready {
		c.State = ""
	}
	if c.Weight != nil && *c.Weight == 1 {
		c.Weight = nil
	}
	p.length("servers", len(o.Servers))
	if len(o.Destinations) > MaxDestinations {
		p.add("destinations", "", fault{"are more than a service can have", "use at most 1000"})
	}
	for _, index := range sortedKeys(o.Destinations) {
		param := "destinations." + strconv.Itoa(index)
		if index < 0 || index > MaxIndex {
			p.add(param, "", fault{"is out of range", "use 0 to 1000"})
		}
		p.setting(param+".", o.Destinations[index])
		put(&c.Destinations, index, o.Destinations[index])
	}
	for _, given := range sortedKeys(o.Servers) {
		name, f := serverName(given)
		if f != (fault{}) {
			p.add("servers", given, f)
			continue
		}
		if _, twice := c.Servers[name]; twice {
			p.add("servers", given, fault{"is given twice", "give each server once: " + name})
		}
		p.setting("servers."+name+".", o.Servers[given])
		put(&c.Servers, name, o.Servers[given])
	}
	c.Tasks = o.Tasks.normal(&p)
	if err := p.err(); err != nil {
		return Overlay{}, err
	}
	return c, nil
}

// put leaves out what says nothing.
func put[K comparable](m *map[K]Setting, key K, s Setting) {
	if s == (Setting{}) {
		return
	}
	if *m == nil {
		*m = map[K]Setting{}
	}
	(*m)[key] = s
}

func (p *problems) setting(prefix string, s Setting) {
	if s.State != "" {
		p.text(prefix+"state", string(s.State), oneOf(string(Ready), string(Drain), string(Maint)))
	}
	if s.Weight != nil && (*s.Weight < 0 || *s.Weight > MaxWeight) {
		p.add(prefix+"weight", strconv.Itoa(*s.Weight), fault{"is out of range", "use 0 to 256, or leave it out"})
	}
}

// ServerName is the one spelling of what names a server or a host in an overlay. Errors:
// Errors naming server.
func ServerName(text string) (string, error) {
	var p problems
	name, f := serverName(text)
	p.add("server", text, f)
	return name, p.err()
}

// serverName is the one spelling of what names a server or a host.
func serverName(text string) (string, fault) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return addr.Unmap().String(), fault{}
	}
	if ap, err := netip.ParseAddrPort(text); err == nil && ap.Addr().Zone() == "" && ap.Port() > 0 {
		return withPort(ap.Addr().Unmap().String(), int(ap.Port())), fault{}
	}
	host, port, hasPort := strings.Cut(text, ":")
	n, err := strconv.Atoi(port)
	if hostRule(host) != (fault{}) || hasPort && (err != nil || n < 1 || n > 65535) {
		return "", fault{"is no server", "use address, address:port, host or host:port; an IPv6 address with a port stands in brackets"}
	}
	if host = strings.ToLower(host); hasPort {
		return withPort(host, n), fault{}
	}
	return host, fault{}
}

func withPort(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// names are those that an overlay may give the server, the widest first.
func (s Server) names() []string {
	host := s.Host
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	}
	host = strings.ToLower(host)
	list := []string{host, withPort(host, s.Port)}
	if s.Addr.IsValid() {
		addr := s.Addr.Unmap().String()
		list = append(list, addr, withPort(addr, s.Port))
	}
	return list
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
