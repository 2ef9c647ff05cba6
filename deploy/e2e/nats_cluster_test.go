package e2e_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// natsCluster is a log of three real NATS servers in the test process, with stores and ports
// that survive a restart.
type natsCluster struct {
	t       testing.TB
	stores  []string
	clients []int
	routes  []int
	servers []*server.Server
}

func startNATSCluster(t testing.TB) *natsCluster {
	t.Helper()
	c := &natsCluster{t: t}
	for range 3 {
		c.stores = append(c.stores, t.TempDir())
		c.clients, c.routes = append(c.clients, freePort(t)), append(c.routes, freePort(t))
	}
	c.start()
	t.Cleanup(c.stop)
	return c
}

func (c *natsCluster) start() {
	c.t.Helper()
	var routes []*url.URL
	for _, port := range c.routes {
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: loopback(port)})
	}
	c.servers = nil
	for i, store := range c.stores {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("log-%d", i+1), Host: "127.0.0.1", Port: c.clients[i], NoLog: true, NoSigs: true,
			Cluster: server.ClusterOpts{Name: "log", Host: "127.0.0.1", Port: c.routes[i]}, Routes: routes,
			JetStream: true, StoreDir: store, SyncAlways: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 8 << 30,
		})
		if err != nil {
			c.t.Fatal(err)
		}
		s.Start()
		c.servers = append(c.servers, s)
	}
	eventually(c.t, patience, "the log has a leader", func() error {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() {
				return nil
			}
		}
		return errors.New("none yet")
	})
}

// stop ends all servers at once.
func (c *natsCluster) stop() {
	for _, s := range c.servers {
		s.Shutdown()
	}
	for _, s := range c.servers {
		s.WaitForShutdown()
	}
	c.servers = nil
}

// wipe empties the stores, as if all disks had been lost.
func (c *natsCluster) wipe() {
	c.t.Helper()
	for _, store := range c.stores {
		if err := os.RemoveAll(store); err != nil {
			c.t.Fatal(err)
		}
		if err := os.MkdirAll(store, 0o700); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *natsCluster) url() string {
	var list []string
	for _, port := range c.clients {
		list = append(list, "nats://"+loopback(port))
	}
	return strings.Join(list, ",")
}
