package broker_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"sluice/deploy/testport"
	"sluice/events/broker"
)

const meshSecret = "0123456789 mesh secret"

// names is a name service whose answers change.
type names struct {
	mu    sync.Mutex
	addrs []netip.Addr
	err   error
}

func (n *names) set(err error, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err, n.addrs = err, nil
	for _, a := range addrs {
		n.addrs = append(n.addrs, netip.MustParseAddr(a))
	}
}

func (n *names) lookup(context.Context, string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addrs, n.err
}

// member is a member with a client.
type member struct {
	*broker.Mesh
	nc  *nats.Conn
	got chan string
}

// join starts a member that listens on an address of its own and knows the others by one name.
func join(tb testing.TB, addr string, port int, secret string, n *names) *member {
	tb.Helper()
	m, err := broker.StartMesh(broker.MeshConfig{
		Name: fmt.Sprintf("%s-%d", addr, time.Now().UnixNano()), Cluster: "edge", Secret: secret, Listen: net.JoinHostPort(addr, fmt.Sprint(port)),
		Peers: []string{"tasks.proxy"}, Lookup: n.lookup, Interval: 50 * time.Millisecond, Logger: zerolog.Nop(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(m), nats.Token(m.Token()), nats.Timeout(patience))
	if err != nil {
		tb.Fatal(err)
	}
	out := &member{m, nc, make(chan string, 100)}
	if _, err := nc.Subscribe("hello", out.hear); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := m.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() { nc.Close(); cancel(); wg.Wait(); m.Shutdown() })
	return out
}

// hear keeps what somebody waits for; when nobody does, it is not missed.
func (m *member) hear(msg *nats.Msg) {
	select {
	case m.got <- string(msg.Data):
	default:
	}
}

// hears waits until what from says reaches m.
func (m *member) hears(tb testing.TB, from *member) {
	tb.Helper()
	text := fmt.Sprint(time.Now().UnixNano())
	deadline := time.After(patience)
	again := time.NewTicker(50 * time.Millisecond) // a way may not be known yet
	defer again.Stop()
	for {
		if err := from.nc.Publish("hello", []byte(text)); err != nil {
			tb.Fatal(err)
		}
		select {
		case got := <-m.got:
			if got == text {
				return
			}
		case <-again.C:
		case <-deadline:
			tb.Fatal("what one member says does not reach the other")
		}
	}
}

func TestMesh(t *testing.T) {
	port := testport.Free(t, "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6")
	var n names
	n.set(nil, "127.0.0.2")
	a := join(t, "127.0.0.2", port, meshSecret, &n)
	b := join(t, "127.0.0.3", port, meshSecret, &n)
	t.Run("a name that has only one address at first", func(t *testing.T) {
		n.set(nil, "127.0.0.2", "127.0.0.3")
		a.hears(t, b)
		b.hears(t, a)
	})
	t.Run("a member that comes later", func(t *testing.T) {
		c := join(t, "127.0.0.4", port, meshSecret, &n)
		n.set(nil, "127.0.0.2", "127.0.0.3", "127.0.0.4")
		a.hears(t, c)
		c.hears(t, b)
	})
	t.Run("names that cannot be looked up part nobody", func(t *testing.T) {
		n.set(fmt.Errorf("no name service"))
		<-time.After(200 * time.Millisecond) // a few lookups
		a.hears(t, b)
	})
	t.Run("a member at another address", func(t *testing.T) {
		d := join(t, "127.0.0.5", port, meshSecret, &n)
		n.set(nil, "127.0.0.2", "127.0.0.5")
		d.hears(t, a)
		a.hears(t, d)
	})
	t.Run("another secret stays outside", func(t *testing.T) {
		e := join(t, "127.0.0.6", port, "another secret of a mesh", &n)
		n.set(nil, "127.0.0.2", "127.0.0.3", "127.0.0.6")
		<-time.After(500 * time.Millisecond) // a few attempts
		if e.Members() != 0 {
			t.Errorf("it has %d members", e.Members())
		}
	})
}

// Every address of loopback is one of this machine, and 127.0.0.1 is listed as such.
func TestMeshOfTwoOnOneMachine(t *testing.T) {
	port := testport.Free(t, "127.0.0.1", otherAddress(t))
	var n names
	n.set(nil, "127.0.0.1", otherAddress(t))
	a := join(t, "127.0.0.1", port, meshSecret, &n)
	b := join(t, otherAddress(t), port, meshSecret, &n)
	a.hears(t, b)
	b.hears(t, a)
}

// otherAddress is one of this machine beside loopback.
func otherAddress(tb testing.TB) string {
	tb.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		tb.Fatal(err)
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr().String()
		}
	}
	tb.Fatal("this machine has no address beside loopback, which the test needs")
	return ""
}

func TestMeshRefusals(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	good := broker.MeshConfig{Name: "a", Cluster: "edge", Secret: meshSecret, Listen: "127.0.0.1:0", Peers: []string{"tasks.proxy"}, Logger: zerolog.Nop()}
	for name, c := range map[string]struct {
		change func(*broker.MeshConfig)
		want   string
	}{
		"short secret": {func(c *broker.MeshConfig) { c.Secret = "short" }, "at least 16"},
		"busy port":    {func(c *broker.MeshConfig) { c.Listen = busy.Addr().String() }, "--peers-listen"},
		"no port":      {func(c *broker.MeshConfig) { c.Listen = "127.0.0.1" }, "--peers-listen"},
		"bad peer":     {func(c *broker.MeshConfig) { c.Peers = []string{"tasks proxy"} }, "--peers"},
		"bad port":     {func(c *broker.MeshConfig) { c.Peers = []string{"proxy:0"} }, "--peers"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			m, err := broker.StartMesh(cfg)
			if err == nil {
				m.Shutdown()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("start: %v, want %q", err, c.want)
			}
		})
	}
}
