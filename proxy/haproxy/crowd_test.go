package haproxy_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"sluice/proxy"
	"sluice/proxy/haproxy"
)

// crowd is a HAProxy that tells of old workers which it does not have.
type crowd struct {
	*haproxy.Process
	old atomic.Int32
}

func (c *crowd) State(ctx context.Context) proxy.ProcessState {
	s := c.Process.State(ctx)
	s.OldWorkers = int(c.old.Load())
	return s
}

// TestLoadsWaitOnlyForOldWorkersThatAreThere: many of them make loads rare, until they are gone.
func TestLoadsWaitOnlyForOldWorkersThatAreThere(t *testing.T) {
	var c *crowd
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		c = &crowd{Process: haproxy.New(r.config)}
		cfg.Process, cfg.Crowded = c, 10*patience
	})
	port := echo(t, "a")
	const users = "&users=ann:secret-of-ann" // takes a load
	r.reconfigure("serviceName=one&servicePath=/one&outboundHostname=127.0.0.1&port=" + port + users)
	c.old.Store(100)
	r.reconfigure("serviceName=two&servicePath=/two&outboundHostname=127.0.0.1&port=" + port + users)
	seq := r.publish("serviceName=three&servicePath=/three&outboundHostname=127.0.0.1&port=" + port + users)
	generation := r.controller.Report().Generation
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		if now := r.controller.Report().Generation; now != generation {
			t.Fatalf("load %d although 100 old workers are there", now)
		}
	}
	c.old.Store(0)
	r.await("the load that waited for old workers", func() bool { return r.controller.Report().Seq >= seq })
}
