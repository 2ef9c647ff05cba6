package haproxy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sluice/crdt/service"
	"sluice/deploy/testport"
	"sluice/proxy"
)

// quarantined waits until exactly this service is in quarantine, at the position of the change.
func (r *rig) quarantined(seq uint64, name, reason string) {
	r.Helper()
	r.live(seq)
	q := r.controller.Report().Quarantine
	if len(q) != 1 || q[0].Service != name || !strings.Contains(q[0].Reason, reason) {
		r.Fatalf("quarantine %+v: want %s for %q", q, name, reason)
	}
}

// TestAnEntryPortIsGivenOnce: a service that asks for one which cannot be its own is not told
// to be live, whatever HAProxy does with the others.
func TestAnEntryPortIsGivenOnce(t *testing.T) {
	r := newRig(t, func(_ *rig, cfg *proxy.Config) { cfg.Ban = time.Hour })
	port, one, two := testport.Free(t), echo(t, "one"), echo(t, "two")
	tcp := func(name, to, more string) string {
		return "serviceName=" + name + "&reqMode=tcp&outboundHostname=127.0.0.1&port=" + to + "&srcPort=" + itoa(port) + more
	}
	r.reconfigure(tcp("m", one, "&serviceGroup=g"))
	r.goes(call{path: "/", port: port}, "one")

	t.Run("the door names who has it", func(t *testing.T) {
		_, value := r.value(tcp("z", two, ""))
		s, err := service.Decode(value)
		if err != nil {
			t.Fatal(err)
		}
		var taken service.Errors
		if err := r.controller.Check(t.Context(), s); !errors.As(err, &taken) || !taken.Taken() || !strings.Contains(err.Error(), "service m ") {
			t.Errorf("got %v, want that service m has the port", err)
		}
		s.Destinations[0].ServiceGroup = "g"
		if err := r.controller.Check(t.Context(), s); err != nil {
			t.Errorf("another of the group: %v", err)
		}
		s.Name, s.Destinations[0].ServiceGroup = "m", ""
		if err := r.controller.Check(t.Context(), s); err != nil {
			t.Errorf("the one that has it: %v", err)
		}
		s.Destinations = append(s.Destinations, s.Destinations[0])
		s.Destinations[1].Index, s.Destinations[1].ServiceGroup = 1, "h"
		if err := r.controller.Check(t.Context(), s); err == nil || errors.As(err, &taken) && taken.Taken() {
			t.Errorf("one that wants it twice: got %v", err)
		}
	})
	for _, name := range []string{"z", "a"} {
		t.Run("the newcomer is quarantined, called "+name, func(t *testing.T) {
			r.TB = t
			r.quarantined(r.publish(tcp(name, two, "")), name, "service m with")
			r.goes(call{path: "/", port: port}, "one")
			r.live(r.source.remove(name))
			if q := r.controller.Report().Quarantine; len(q) > 0 {
				t.Errorf("quarantine %+v", q)
			}
		})
	}
	t.Run("it has the port as soon as that is free", func(t *testing.T) {
		r.TB = t
		r.live(r.publish(tcp("z", two, "")))
		r.live(r.source.remove("m"))
		r.await("the port to be z's", func() bool {
			a, err := r.try(call{path: "/", port: port})
			return err == nil && a.seen.Backend == "two" && len(r.controller.Report().Quarantine) == 0
		})
	})
	t.Run("the proxy's own is nobody's", func(t *testing.T) {
		r.TB = t
		r.quarantined(r.publish("serviceName=own&reqMode=tcp&outboundHostname=127.0.0.1&port="+two+"&srcPort="+itoa(r.http)), "own", "belongs to the proxy")
	})
}

func TestAMissingTemplateIsNotLive(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, func(_ *rig, cfg *proxy.Config) {
		cfg.Options.TemplatesDir, cfg.Limits = dir, service.Limits{TemplatesDir: true}
	})
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "x"))
	s := service.Service{Name: "y", TemplateFePath: "fe.tmpl", TemplateBePath: "be.tmpl", Destinations: []service.Destination{{Port: 80, ServicePath: []string{"/y"}}}}
	value, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	r.quarantined(r.source.put("y", value), "y", "fe.tmpl")
}
