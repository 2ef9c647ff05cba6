package node

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/events"
)

// TestOwnPorts: no service may take a port of the replica's own, or be sent to it.
func TestOwnPorts(t *testing.T) {
	cfg := DefaultConfig()
	cfg.APIAddr, cfg.NATS.Listen, cfg.Peers.Listen = "127.0.0.1:8081", "127.0.0.1:4223", "10.0.0.1:6223"
	colliding := func(cfg Config) map[int]string {
		found := map[int]string{}
		for _, p := range (&Node{cfg: cfg}).ownPorts() {
			found[p.Port] = p.Use
		}
		return found
	}
	t.Run("alone", func(t *testing.T) {
		own := colliding(cfg)
		if own[8081] == "" || own[4223] == "" || own[6223] != "" {
			t.Errorf("own ports %v", own)
		}
	})
	t.Run("in a mesh", func(t *testing.T) {
		cfg := cfg
		cfg.NATS.URL, cfg.Peers.Names = "nats://log", []string{"tasks.proxy"}
		own := colliding(cfg)
		if own[8081] == "" || own[4223] != "" || own[6223] == "" {
			t.Errorf("own ports %v", own)
		}
		tcp := service.Service{Name: "a", Destinations: []service.Destination{{ReqMode: service.TCP, SrcPort: 6223, Port: 80, OutboundHostname: "10.0.0.2"}}}
		local := service.Service{Name: "a", Destinations: []service.Destination{{ServicePath: []string{"/"}, Port: 6223, OutboundHostname: "127.0.0.1"}}}
		for _, s := range []service.Service{tcp, local} {
			if err := s.Validate(service.Limits{OwnPorts: (&Node{cfg: cfg}).ownPorts()}); err == nil || !strings.Contains(err.Error(), "mesh of the replicas") {
				t.Errorf("%+v: %v", s.Destinations[0], err)
			}
		}
	})
	t.Run("on one address or all", func(t *testing.T) {
		for addr, want := range map[string]string{"127.0.0.1:8081": "127.0.0.1", "[::1]:8081": "::1", ":8081": "", "0.0.0.0:8081": "", "[::]:8081": "", "vm:8081": ""} {
			cfg.APIAddr = addr
			got := (&Node{cfg: cfg}).ownPorts()[0].Addr
			if got.IsValid() && got.String() != want || got.IsValid() != (want != "") {
				t.Errorf("%s: %v, want %q", addr, got, want)
			}
		}
	})
}

// TestInterfaces: the addresses of this machine hold loopback, whatever else there is.
func TestInterfaces(t *testing.T) {
	list, err := ownAddresses()
	if err != nil || !slices.ContainsFunc(list, netip.Addr.IsLoopback) {
		t.Errorf("own addresses %v, %v", list, err)
	}
}

// TestEarlierVersionsEndAtARemoval: what was removed does not stand in for what came after.
func TestEarlierVersionsEndAtARemoval(t *testing.T) {
	n, _ := readyNode(t)
	value := func(text string) []byte { return []byte(`{"serviceName":"` + text + `"}`) }
	for _, c := range []events.Change{{Value: value("removed")}, {Delete: true}, {Value: value("first")}, {Value: value("second")}} {
		c.Key = "service/a"
		if _, err := n.replica.Write(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	got, err := n.earlier(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{value("second"), value("first")}, got); diff != "" {
		t.Error(diff)
	}
}
