package proxy_test

import (
	"net/netip"
	"strings"
	"testing"

	"sluice/crdt/service"
	"sluice/proxy"
)

// ownView is that of a replica with the addresses 10.0.0.5 and fe80::5, whose API listens
// everywhere on 8080 and whose NATS only on 10.0.0.6:4222.
func ownView(table map[string]string) proxy.View {
	return proxy.View{
		Addresses:  addresses(table),
		OwnPorts:   []service.OwnPort{{Port: 8080, Use: "the API"}, {Port: 4222, Addr: netip.MustParseAddr("10.0.0.6"), Use: "NATS"}},
		Interfaces: []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("fe80::5")},
	}
}

// A name that leads to this replica's own ports gives no server, whatever finds the address.
func TestNoServerIsTheReplicaItself(t *testing.T) {
	o := testOptions(t.TempDir())
	to := func(host string, port int, change func(*service.Service, *service.Destination)) service.Service {
		s := simple("s", port, "/s")
		s.Destinations[0].OutboundHostname = host
		change(&s, &s.Destinations[0])
		return s
	}
	tcp := func(_ *service.Service, d *service.Destination) {
		d.ReqMode, d.SrcPort, d.ServicePath = service.TCP, 9000, nil
	}
	for name, c := range map[string]struct {
		host    string
		port    int
		change  func(*service.Service, *service.Destination)
		overlay string
		want    string // of each address that is used
	}{
		"loopback":             {host: "vm", port: 8080},
		"another loopback":     {host: "vm1", port: 8080},
		"unspecified":          {host: "zero", port: 8080},
		"IPv6":                 {host: "six", port: 8080},
		"an interface":         {host: "eth", port: 8080},
		"link-local":           {host: "link", port: 8080},
		"one of several":       {host: "mixed", port: 8080, want: "10.9.9.9"},
		"another port":         {host: "vm", port: 8081, want: "127.0.0.1"},
		"NATS by loopback":     {host: "vm", port: 4222},
		"elsewhere than NATS":  {host: "eth", port: 4222, want: "10.0.0.5"},
		"another machine":      {host: "other", port: 8080, want: "10.9.9.9"},
		"https":                {host: "vm", port: 80, want: "127.0.0.1", change: func(_ *service.Service, d *service.Destination) { d.HTTPSPort = 8080 }},
		"tcp":                  {host: "vm", port: 8080, change: tcp},
		"tcp, a group":         {host: "vm", port: 8080, change: func(s *service.Service, d *service.Destination) { tcp(s, d); d.ServiceGroup = "g" }},
		"tasks of a group":     {host: "none", port: 8080, change: func(s *service.Service, d *service.Destination) { tcp(s, d); d.ServiceGroup, s.Name = "g", "mine" }},
		"tasks, sticky":        {host: "none", port: 8080, change: func(s *service.Service, _ *service.Destination) { s.Name, s.SessionType = "mine", "sticky-server" }},
		"tasks by DNS":         {host: "vm", port: 8080, change: func(s *service.Service, _ *service.Destination) { s.DiscoveryType = "DNS" }},
		"tasks from a watcher": {host: "none", port: 8080, overlay: `{"tasks":{"cluster":"c","running":["127.0.0.1","10.0.0.5"]}}`},
		"looked up by HAProxy": {host: "vm", port: 8080, change: func(s *service.Service, _ *service.Destination) { s.CheckResolvers = true }},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change == nil {
				c.change = func(*service.Service, *service.Destination) {}
			}
			s := to(c.host, c.port, c.change)
			m := proxy.Build(&o, []service.Service{s}, ownView(map[string]string{
				"vm": "127.0.0.1", "vm1": "127.0.1.1", "zero": "0.0.0.0", "six": "::1", "eth": "10.0.0.5", "link": "fe80::5",
				"mixed": "127.0.0.1 10.9.9.9", "other": "10.9.9.9", "tasks.mine": "10.0.0.5",
			}))
			m.Overlay(s.Name, []byte(c.overlay))
			lines := strings.Join(serverLines(t, m), "\n")
			for _, addr := range []string{"127.0.0.1", "127.0.1.1", "0.0.0.0", "::1", "10.0.0.5", "fe80::5", "10.9.9.9", "resolvers docker"} {
				if got, want := strings.Contains(lines, addr), c.want == addr; got != want {
					t.Errorf("%s: %v, want %v: %s", addr, got, want, lines)
				}
			}
			told := strings.Contains(strings.Join(m.Notes(), "\n"), "the proxy's own")
			if whole := c.want != "" && name != "one of several" && name != "https"; told == whole {
				t.Errorf("notes %q", m.Notes())
			}
			if len(m.Refusals()) > 0 {
				t.Errorf("refused: %v", m.Refusals()[0])
			}
		})
	}
}

// An address can only lead to one place: the definition is refused where that is the replica.
func TestTheReplicasOwnAddressIsRefused(t *testing.T) {
	o := testOptions(t.TempDir())
	view := ownView(nil)
	s := simple("s", 8080, "/s")
	s.Destinations[0].OutboundHostname = "10.0.0.5"
	m := proxy.Build(&o, []service.Service{s}, view)
	if list := m.Refusals(); len(list) != 1 || list[0].Param != "outboundHostname" || !strings.Contains(list[0].Reason, "the API") {
		t.Errorf("refusals %v", list)
	}
	if lines := serverLines(t, m); len(lines) > 0 {
		t.Errorf("servers %q", lines)
	}
	view.Interfaces = nil
	m.Refresh(&view)
	if list := m.Refusals(); len(list) > 0 || len(serverLines(t, m)) != 1 {
		t.Errorf("on another machine: refusals %v, servers %q", list, serverLines(t, m))
	}
	back := ownView(nil)
	m.Refresh(&back)
	if list := m.Refusals(); len(list) != 1 {
		t.Errorf("refusals %v", list)
	}
}
