package proxy_test

import (
	"strings"
	"testing"

	"sluice/crdt/service"
	"sluice/proxy"
)

// What is accepted and has no effect here is told, with what to do about it.
func TestNotesOnWhatHasNoEffect(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*service.Service, *service.Destination)
		options func(*proxy.Options)
		note    string
	}{
		"nothing":              {},
		"an unknown host":      {change: func(_ *service.Service, d *service.Destination) { d.OutboundHostname = "nores" }, note: "host nores does not resolve"},
		"one for HAProxy":      {change: func(s *service.Service, d *service.Destination) { d.OutboundHostname, s.CheckResolvers = "nores", true }},
		"an address":           {change: func(_ *service.Service, d *service.Destination) { d.OutboundHostname = "10.0.0.9" }},
		"tasks that are known": {change: func(s *service.Service, d *service.Destination) { s.Name, s.SessionType = "t", "sticky-server" }},
		"an unknown tcp host": {note: "host nores does not resolve", change: func(_ *service.Service, d *service.Destination) {
			d.OutboundHostname, d.ReqMode, d.SrcPort = "nores", service.TCP, 9000
		}},
		"containers that are not known": {note: "no container of it is known", change: func(s *service.Service, _ *service.Destination) {
			s.Source = &service.Source{Kind: service.DockerSource}
		}},
		"an entry port that is there":    {change: func(_ *service.Service, d *service.Destination) { d.SrcPort = 8000 }},
		"an entry port that is not":      {change: func(_ *service.Service, d *service.Destination) { d.SrcPort = 8001 }, note: "entry port 8001"},
		"the entry port of TLS":          {change: func(_ *service.Service, d *service.Destination) { d.HTTPSPort, d.SrcPort = 8443, 8000 }, note: "its port 8443: that is for entry port 443"},
		"clients' certificates":          {change: func(_ *service.Service, d *service.Destination) { d.VerifyClientSSL = true }, note: "give one with CA_FILE"},
		"clients' certificates and a CA": {change: func(_ *service.Service, d *service.Destination) { d.VerifyClientSSL = true }, options: func(o *proxy.Options) { o.CAFile = "/ca.pem" }},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t.TempDir())
			if c.options != nil {
				c.options(&o)
			}
			s := simple("s", 80, "/s")
			if c.change != nil {
				c.change(&s, &s.Destinations[0])
			}
			m := proxy.Build(&o, []service.Service{s}, proxy.View{Addresses: addresses(map[string]string{"s": "10.0.0.1", "tasks.t": "10.0.0.2"})})
			notes := m.Notes()
			if c.note == "" && len(notes) > 0 || c.note != "" && (len(notes) != 1 || !strings.Contains(notes[0], c.note)) {
				t.Errorf("notes %q, want one of %q", notes, c.note)
			}
		})
	}
}
