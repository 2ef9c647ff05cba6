package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"sluice/crdt/service"
)

// Entry ports that a destination with an httpsPort is bound to by default.
const (
	plainEntry = 80
	tlsEntry   = 443
)

// target is one destination of one service in its place in the total order.
type target struct {
	svc *service.Service
	dst *service.Destination
	// section prefixes the names of this service's parts, unique per service.
	section string
	// order is the rank by (aclName, service name, index), from 1.
	order int
}

// entry is one way into a target: plain or TLS, each with its own backend.
type entry struct {
	*target
	backend string
	// port is the target's port, srcPort the entry port that the rule is bound to, 0 for any.
	port, srcPort int
	tls           bool
}

// targets gives every destination its rank. Of two services with one aclName the lower
// service name keeps the section name.
func targets(services []*service.Service) []target {
	sorted := slices.Clone(services)
	slices.SortStableFunc(sorted, func(a, b *service.Service) int {
		return cmp.Or(cmp.Compare(a.Section(), b.Section()), cmp.Compare(a.Name, b.Name))
	})
	list := make([]target, 0, len(sorted))
	previous := ""
	for i, s := range sorted {
		section := s.Section()
		if i > 0 && section == previous {
			section += ":" + s.Name
		} else {
			previous = section
		}
		for d := range s.Destinations {
			list = append(list, target{svc: s, dst: &s.Destinations[d], section: section, order: len(list) + 1})
		}
	}
	return list
}

func (t *target) name() string {
	return t.section + "-be" + strconv.Itoa(t.dst.Port) + "_" + strconv.Itoa(t.dst.Index)
}

// entries are the ways into an http target.
func (t *target) entries() []entry {
	var list []entry
	d := t.dst
	src, tlsSrc := d.SrcPort, d.SrcHTTPSPort
	if d.HTTPSPort > 0 {
		src, tlsSrc = cmp.Or(src, plainEntry), cmp.Or(tlsSrc, tlsEntry)
	}
	if d.Port > 0 {
		list = append(list, entry{target: t, backend: t.name(), port: d.Port, srcPort: src})
	}
	if d.HTTPSPort > 0 {
		name := fmt.Sprintf("https-%s-be%d_%d", t.section, d.HTTPSPort, d.Index)
		list = append(list, entry{target: t, backend: name, port: d.HTTPSPort, srcPort: tlsSrc, tls: true})
	}
	return list
}
