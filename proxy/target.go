package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// Entry ports that a destination with an httpsPort is bound to by default.
const (
	plainEntry = 80
	tlsEntry   = 443
)

// place is where a destination stands among all of its class, kind of host and length of
// path: by aclName, then service, then index.
type place struct {
	acl, service string
	index        int
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.acl, o.acl), cmp.Compare(p.service, o.service), cmp.Compare(p.index, o.index))
}

// tlsPrefix begins the names of backends for requests that entered over TLS.
const tlsPrefix = "https-"

// target is one destination of one service in its place in the total order.
type target struct {
	svc *service.Service
	dst *service.Destination
	// section prefixes the names of this service's parts, unique per service.
	section string
	place   place
	// overlay is in force over its servers, nil: none.
	overlay *service.Overlay
}

// entry is one way into a target: plain or TLS, each with its own backend.
type entry struct {
	*target
	backend string
	// port is the target's port, srcPort the entry port that the rule is bound to, 0 for any.
	port, srcPort int
	tls           bool
}

// targets gives every destination its place, in their order. Of two services with one
// aclName the lower service name keeps the section name.
func targets(services []*service.Service) []target {
	sorted := slices.Clone(services)
	slices.SortStableFunc(sorted, func(a, b *service.Service) int {
		return cmp.Or(cmp.Compare(a.Section(), b.Section()), cmp.Compare(a.Name, b.Name))
	})
	list := make([]target, 0, len(sorted))
	for i, s := range sorted {
		first := i == 0 || sorted[i-1].Section() != s.Section()
		list = append(list, targetsOf(s, sectionName(s, first))...)
	}
	return list
}

// sectionName is what the parts of a service are called after; first: it has the lowest
// name of those with its aclName. What reads like the TLS part of another service gives way.
func sectionName(s *service.Service, first bool) string {
	if first && !strings.HasPrefix(s.Section(), tlsPrefix) {
		return s.Section()
	}
	return s.Section() + ":" + s.Name
}

func targetsOf(s *service.Service, section string) []target {
	list := make([]target, len(s.Destinations))
	for i := range s.Destinations {
		d := &s.Destinations[i]
		list[i] = target{svc: s, dst: d, section: section, place: place{s.Section(), s.Name, d.Index}}
	}
	slices.SortStableFunc(list, func(a, b target) int { return a.place.compare(b.place) })
	return list
}

// http reports whether the target is reached through the http frontend's own rules.
func (t *target) http() bool {
	return (t.dst.ReqMode == service.HTTP || t.dst.ReqMode == "") && !t.templated()
}

func (t *target) templated() bool { return t.svc.TemplateFePath+t.svc.TemplateBePath != "" }

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
		name := fmt.Sprintf("%s%s-be%d_%d", tlsPrefix, t.section, d.HTTPSPort, d.Index)
		list = append(list, entry{target: t, backend: name, port: d.HTTPSPort, srcPort: tlsSrc, tls: true})
	}
	return list
}
