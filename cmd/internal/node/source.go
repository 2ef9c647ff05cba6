package node

import (
	"sync"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/proxy"
)

// source shows the replica's services and certificates to the proxy. Safe for concurrent use.
type source struct {
	replica *events.Replica

	mu           sync.Mutex
	items        carried[proxy.Item]
	overlays     carried[proxy.Item]
	certificates carried[proxy.Bundle]
}

var _ proxy.Source = (*source)(nil)

// newSource opens certificates with open; nil: this replica has no cluster key.
func newSource(r *events.Replica, open func(box string) ([]byte, error)) *source {
	return &source{replica: r, items: carried[proxy.Item]{make: item}, overlays: carried[proxy.Item]{make: overlay}, certificates: certificates(open)}
}

func (s *source) Changed() <-chan struct{} { return s.replica.Changed() }

// Desired costs little more than what has changed since the last call: what has not is the
// same as it was, versions and values included.
func (s *source) Desired() proxy.Desired {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, view := s.replica.Live("") // all kinds at one position
	return proxy.Desired{
		Ready: view.Restored, StreamID: view.StreamID, Seq: view.Seq,
		Items:        s.items.of(events.Below(entries, service.Key(""))),
		Overlays:     s.overlays.of(events.Below(entries, service.OverlayKey(""))),
		Certificates: s.certificates.of(events.Below(entries, api.CertificateKey(""))),
	}
}

// item leaves out what no service can be called.
func item(e *crdt.Entry) (proxy.Item, bool) {
	name, ok := service.Name(e.Key)
	return proxy.Item{Name: name, Version: e.Stamp.String(), Value: e.Value}, ok
}

// overlay leaves out what is over no service's name.
func overlay(e *crdt.Entry) (proxy.Item, bool) {
	name, ok := service.Overlaid(e.Key)
	return proxy.Item{Name: name, Version: e.Stamp.String(), Value: e.Value}, ok
}

// state shows the replica to the API.
type state struct {
	*events.Replica
	status *status
}

var _ api.Replica = state{}

func (s state) Entries(prefix string) []crdt.Entry {
	list, _ := s.Live(prefix)
	entries := make([]crdt.Entry, len(list))
	for i, e := range list {
		entries[i] = *e
	}
	return entries
}

func (s state) Status() events.Status { return s.status.current() }

// gateway shows the controller to the API.
type gateway struct{ *proxy.Controller }

var _ api.Proxy = gateway{}

func (g gateway) Ready() bool { return g.Report().Ready }
