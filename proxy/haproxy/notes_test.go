package haproxy_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"sluice/proxy"
)

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// When no name resolves, the log tells of some and how many more; the report has all of them.
func TestManyNotesAreToldInPart(t *testing.T) {
	const services = 70
	log := &lines{}
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Logger = zerolog.New(log)
		for i := range services {
			r.source.put(r.value(fmt.Sprintf("serviceName=s%02d&servicePath=/s%02d&port=80&outboundHostname=nowhere%d", i, i, i)))
		}
	})
	r.await("all notes", func() bool { return len(r.controller.Report().Notes) == services })
	if told := strings.Count(log.String(), "does not resolve"); told != 50 || !strings.Contains(log.String(), `"more":20`) {
		t.Errorf("%d notes are told:\n%s", told, log)
	}
}
