package haproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sluice/proxy"
)

// When no name resolves, the log tells of some and how many more; the report has all of them.
func TestManyNotesAreToldInPart(t *testing.T) {
	const services = 70
	log := &accessLog{}
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Logger = zerolog.New(log)
		for i := range services {
			r.source.put(r.value(fmt.Sprintf("serviceName=s%02d&servicePath=/s%02d&port=80&outboundHostname=nowhere%d", i, i, i)))
		}
	})
	r.await("all notes", func() bool { return len(r.controller.Report().Notes) == services })
	if told := log.holding("does not resolve"); len(told) != 50 || len(log.holding(`"more":20`)) != 1 {
		t.Errorf("%d notes are told:\n%s", len(told), strings.Join(log.holding(""), ""))
	}
}
