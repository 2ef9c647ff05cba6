package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// State is what a server does with requests.
type State string

// States of a server. A server in drain gets none but those of clients that are bound to it
// by a cookie, one in maintenance none at all; requests under way are finished in both.
const (
	Ready State = "ready"
	Drain State = "drain"
	Maint State = "maint"
)

// MaxWeight is the largest weight of a server.
const MaxWeight = 256

// Setting is what an overlay says about servers.
type Setting struct {
	// State is empty where a wider setting decides.
	State State `json:"state,omitempty"`
	// Weight is 0 to MaxWeight, nil where a wider setting decides.
	Weight *int `json:"weight,omitempty"`
}

// Overlay is in force over a service without being a part of its definition, so it stays
// when that is replaced. Of the settings that concern a server the narrowest decides, state
// and weight each by itself; what none says is ready, with weight 1.
type Overlay struct {
	// Setting is for all servers of the service.
	Setting
	// Destinations are for those of a destination, by its index.
	Destinations map[int]Setting `json:"destinations,omitempty"`
	// Servers are for one, by "address:port" or "address", or for all of a host, by
	// "host:port" or "host"; the former is the narrower each time.
	Servers map[string]Setting `json:"servers,omitempty"`
	// Tasks is what a watcher sees of the service's tasks; people cannot set it.
	Tasks Tasks `json:"tasks,omitzero"`
}

// Server is what an overlay knows a server by.
type Server struct {
	// Index is that of its destination.
	Index int
	Host  string
	// Addr is its address, invalid while there is none.
	Addr netip.Addr
	Port int
}

// At is what holds for one server; a nil overlay says nothing.
func (o *Overlay) At(srv Server) (State, int) {
	state, weight := Ready, 1
	if o == nil {
		return state, weight
	}
	take := func(s Setting) {
		if s.State != "" {
			state = s.State
		}
		if s.Weight != nil {
			weight = *s.Weight
		}
	}
	take(o.Setting)
	take(o.Destinations[srv.Index])
	if len(o.Servers) > 0 {
		for _, name := range srv.names() {
			take(o.Servers[name])
		}
	}
	if state == Ready && o.Tasks.leaves(srv.Addr) {
		state = Drain
	}
	return state, weight
}

// Unmatched are the servers and destinations that the overlay names and the list lacks.
func (o *Overlay) Unmatched(list []Server) []string {
	indexes, names := map[int]bool{}, map[string]bool{}
	for _, srv := range list {
		indexes[srv.Index] = true
		for _, name := range srv.names() {
			names[name] = true
		}
	}
	var missing []string
	for _, index := range sortedKeys(o.Destinations) {
		if !indexes[index] {
			missing = append(missing, "destination "+strconv.Itoa(index))
		}
	}
	for _, name := range sortedKeys(o.Servers) {
		if !names[name] {
			missing = append(missing, "server "+name)
		}
	}
	return missing
}

// Fits returns Errors naming the destinations and host names that s does not have, or nil. It
// cannot tell addresses: each replica looks them up by itself.
func (o *Overlay) Fits(s *Service) error {
	var list []Server
	for i := range s.Destinations {
		d := &s.Destinations[i]
		list = append(list, Server{Index: d.Index, Host: s.Host(d), Port: d.Port}, Server{Index: d.Index, Host: s.Host(d), Port: d.HTTPSPort})
	}
	var p problems
	for _, missing := range o.Unmatched(list) {
		kind, name, _ := strings.Cut(missing, " ")
		if _, err := netip.ParseAddr(name); err == nil {
			continue
		}
		if _, err := netip.ParseAddrPort(name); err != nil {
			p.add(kind+"s", name, fault{"is none of the service " + s.Name, "use an index, a host or an address of its destinations"})
		}
	}
	return p.err()
}

// Canonical is the one JSON text of this meaning, nil for an overlay that says nothing.
// Errors: Errors with every problem.
func (o Overlay) Canonical() ([]byte, error) {
	c, err := o.normal()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode overlay: %w", err)
	}
	if len(data) > MaxEncoded {
		return nil, Errors{{Param: "servers", Problem: fmt.Sprintf("take %d bytes as a whole", len(data)), Remedy: "stay below 65536 bytes"}}
	}
	if string(data) == "{}" {
		return nil, nil
	}
	return data, nil
}

// unknownField begins the error of encoding/json about a field that is not known.
const unknownField = "json: unknown field "

// ParseOverlay reads an overlay as people send it: what is not known is refused, since a
// mistyped name must not leave a server at work. Errors: Errors with every problem.
func ParseOverlay(data []byte) (Overlay, error) { return readOverlay(data, true) }

// DecodeOverlay reads an overlay of the map, where fields that are not known are ignored.
// Errors: Errors with every problem.
func DecodeOverlay(data []byte) (Overlay, error) { return readOverlay(data, false) }

func readOverlay(data []byte, strict bool) (Overlay, error) {
	var p problems
	if len(data) > 2*MaxEncoded {
		p.add("body", "", fault{"is longer than 131072 bytes", "shorten it"})
		return Overlay{}, p.err()
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if strict {
		dec.DisallowUnknownFields()
	}
	var o *Overlay
	switch err := dec.Decode(&o); {
	case err != nil && strings.HasPrefix(err.Error(), unknownField):
		p.add("body", strings.Trim(strings.TrimPrefix(err.Error(), unknownField), `"`), fault{"is not a field", "use state, weight, destinations and servers"})
	case err != nil:
		p.json(err)
	case dec.More():
		p.add("body", "", fault{"goes on after the JSON document", "send one document"})
	case o == nil:
		p.add("body", "", fault{"is null", `send {} for no overlay, or for example {"state":"drain"}`})
	default:
		return o.normal()
	}
	return Overlay{}, p.err()
}
