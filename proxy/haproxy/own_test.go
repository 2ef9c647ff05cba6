package haproxy_test

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/crdt/service"
	"sluice/deploy/testport"
	"sluice/proxy"
)

// TestNobodyIsLetToTheReplicasOwnPorts: not by a name that leads there, at its coming or later,
// nor by an address of the machine; other ports of the machine are reached as ever.
func TestNobodyIsLetToTheReplicasOwnPorts(t *testing.T) {
	secret, fine := echo(t, "secret"), echo(t, "fine")
	own, err := strconv.Atoi(secret)
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{"vm": "127.0.0.1", "moves": "10.255.255.9"}
	var mu sync.Mutex
	machine := netip.MustParseAddr("10.255.255.1")
	r := newRig(t, func(_ *rig, cfg *proxy.Config) {
		cfg.Resolve, cfg.Ban = 50*time.Millisecond, time.Hour
		cfg.Lookup = lookupLocked(&mu, table)
		cfg.Limits.OwnPorts = []service.OwnPort{{Port: own, Use: "the API"}}
		cfg.Interfaces = func() ([]netip.Addr, error) { return []netip.Addr{machine}, nil }
	})
	entry := testport.Free(t)
	r.publish("serviceName=http&servicePath=/http&outboundHostname=vm&port=" + secret)
	r.publish("serviceName=tcp&reqMode=tcp&srcPort=" + itoa(entry) + "&outboundHostname=vm&port=" + secret)
	r.publish("serviceName=moves&servicePath=/moves&outboundHostname=moves&port=" + secret)
	r.reconfigure("serviceName=fine&servicePath=/fine&outboundHostname=vm&port=" + fine)
	r.goes(call{path: "/fine"}, "fine")
	kept := func() {
		t.Helper()
		if a := r.do(call{path: "/http"}); a.status != 503 {
			t.Errorf("http: status %d", a.status)
		}
		if a, err := r.try(call{path: "/", port: entry}); err == nil && a.status == 200 {
			t.Error("tcp: answered")
		}
	}
	kept()
	told := func(service string) bool {
		return slices.ContainsFunc(r.controller.Report().Notes, func(n string) bool {
			return strings.HasPrefix(n, "service "+service+":") && strings.Contains(n, "the proxy's own (the API)")
		})
	}
	if !told("http") || !told("tcp") || told("fine") || told("moves") {
		t.Errorf("notes %q", r.controller.Report().Notes)
	}
	mu.Lock()
	table["moves"] = "127.0.0.1"
	mu.Unlock()
	r.await("the name to be followed", func() bool { return told("moves") })
	if a := r.do(call{path: "/moves"}); a.status != 503 {
		t.Errorf("a name that has moved: status %d", a.status)
	}
	if err := r.controller.Reload(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	kept()
	r.quarantined(r.publish("serviceName=literal&servicePath=/l&outboundHostname="+machine.String()+"&port="+secret), "literal", "the API")
}
