package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

const (
	meshInterval = 2 * time.Second
	meshLookup   = 2 * time.Second
	meshPing     = 2 * time.Second
	// leastSecret is what keeps the mesh's secret from being guessed, in bytes.
	leastSecret = 16
)

// MeshConfig describes a member of a mesh.
type MeshConfig struct {
	// Name is the member's identity: unique, new at each start.
	Name string
	// Cluster is the mesh's name: members of another one are turned away.
	Cluster string
	// Secret is what all members know, at least 16 bytes. Nobody is shown it: the members' keys
	// are made of it.
	Secret string
	// Listen is where the other members reach this one, host:port; port 0 takes a free one.
	Listen string
	// Peers are host names or addresses of members, this one included or not; one without a
	// port has that of Listen.
	Peers []string
	// Lookup gives the addresses of a name; nil: net.DefaultResolver's.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Interval is how often the names are looked up; 0: 2 s.
	Interval time.Duration
	// Logger gets the server's own log, and what becomes of the names.
	Logger zerolog.Logger
}

// Mesh is one member: a NATS server without store or client port, connected to those of the
// others. It carries messages between the members as long as a way is left, and keeps none.
// Safe for concurrent use.
type Mesh struct {
	cfg    MeshConfig
	token  string
	server *server.Server
	opts   *server.Options
	port   uint16
	log    *bridge
	// routes are the members that are known by their names; it belongs to Run.
	routes map[netip.AddrPort]bool
	failed string
}

// StartMesh listens for the others; Run looks for them. Errors name the setting to change.
func StartMesh(cfg MeshConfig) (*Mesh, error) {
	if len(cfg.Secret) < leastSecret {
		return nil, fmt.Errorf("the secret of the mesh has %d bytes: give it at least %d", len(cfg.Secret), leastSecret)
	}
	for _, peer := range cfg.Peers {
		if err := CheckPeer(peer); err != nil {
			return nil, err
		}
	}
	host, port, err := listenAddress(settingPeers, cfg.Listen)
	if err != nil {
		return nil, err
	}
	if cfg.Lookup == nil {
		cfg.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if cfg.Interval == 0 {
		cfg.Interval = meshInterval
	}
	m := &Mesh{cfg: cfg, token: rand.Text()}
	certs, err := meshTLS(cfg.Secret)
	if err != nil {
		return nil, err
	}
	m.opts, m.log = meshOptions(cfg, m.token, host, port), newBridge(cfg.Logger.With().Str("component", "mesh").Logger())
	m.opts.Cluster.TLSConfig = certs
	if m.server, err = server.NewServer(m.opts.Clone()); err != nil {
		return nil, fmt.Errorf("configure mesh: %w", err)
	}
	m.server.SetLoggerV2(m.log, false, false, false)
	m.server.Start()
	if err := m.awaitListener(); err != nil {
		m.Shutdown()
		return nil, err
	}
	return m, nil
}

func meshOptions(cfg MeshConfig, token, host string, port int) *server.Options {
	return &server.Options{
		ServerName: cfg.Name,
		NoSigs:     true,
		NoLog:      true, // ours is set before the start
		// Without a client port the server would not listen for members either; this one lets
		// nobody in but who has the token, which never leaves the process.
		Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: token,
		Cluster: server.ClusterOpts{
			Name: cfg.Cluster, Host: host, Port: port,
			PoolSize: -1, // one connection per member
			// A member that is silent is noticed in seconds, not in minutes.
			PingInterval: meshPing, MaxPingsOut: 2,
		},
	}
}

// awaitListener waits until the port is bound: only then is it known.
func (m *Mesh) awaitListener() error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if addr := m.server.ClusterAddr(); addr != nil && m.server.Addr() != nil {
			m.port = addr.AddrPort().Port()
			m.opts.Cluster.Port = int(m.port)
			return nil
		}
		select {
		case text := <-m.log.fatal:
			return fmt.Errorf("start mesh: %s", text)
		case <-tick.C:
		case <-deadline.C:
			return errors.New("start mesh: it does not listen in time")
		}
	}
}

// CheckPeer says what is wrong with the name of a peer.
func CheckPeer(peer string) error {
	host, port := peer, "1"
	if _, err := netip.ParseAddr(peer); err != nil {
		if h, p, err := net.SplitHostPort(peer); err == nil {
			host, port = h, p
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !hostName(host) {
		return fmt.Errorf("--peers (SLUICE_PEERS) %.80q is not a host: write a name such as tasks.proxy, with :port if it is not that of --peers-listen", peer)
	}
	return nil
}

func hostName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && len(host) <= 253 && !slices.ContainsFunc([]byte(host), func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_'
	})
}

// Addr is where the other members reach this one.
func (m *Mesh) Addr() net.Addr { return m.server.ClusterAddr() }

// Token is what clients have to show, those in process too.
func (m *Mesh) Token() string { return m.token }

// InProcessConn opens a client connection without a port.
func (m *Mesh) InProcessConn() (net.Conn, error) { return m.server.InProcessConn() }

// Members is the number of other members that this one is connected to.
func (m *Mesh) Members() int { return m.server.NumRoutes() }

// Shutdown leaves the mesh; it may be called again.
func (m *Mesh) Shutdown() {
	m.server.Shutdown()
	m.server.WaitForShutdown()
}

// Run keeps looking up the peers and connects to those that are new, until ctx ends; what fails is
// told and tried again. The server itself would give up a name that resolves to nobody else for ever.
// Connect clients before: the server turns away those that are about to connect while it takes over
// new addresses.
func (m *Mesh) Run(ctx context.Context) error {
	tick := time.NewTicker(m.cfg.Interval)
	defer tick.Stop()
	for {
		m.tell(m.meet(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// meet brings the routes to what the names say now.
func (m *Mesh) meet(ctx context.Context) error {
	routes, err := m.lookup(ctx)
	if len(routes) == 0 || maps.Equal(routes, m.routes) {
		return err
	}
	opts := m.opts.Clone()
	for _, addr := range slices.SortedFunc(maps.Keys(routes), netip.AddrPort.Compare) {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats-route", Host: addr.String()})
	}
	if reloadErr := m.server.ReloadOptions(opts); reloadErr != nil {
		return errors.Join(err, fmt.Errorf("take over addresses: %w", reloadErr))
	}
	m.routes = routes
	m.cfg.Logger.Info().Str("component", "mesh").Int("peers", len(routes)).Msg("peers found")
	return err
}

// tell logs each reason once.
func (m *Mesh) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != m.failed {
		m.cfg.Logger.Warn().Str("component", "mesh").Err(err).Msg("cannot find all peers")
	}
	m.failed = text
}

// lookup gives the addresses of all peers but this one's own. Those of a name that cannot be
// looked up now stay what they were: an outage of the name service must not part the mesh.
func (m *Mesh) lookup(ctx context.Context) (map[netip.AddrPort]bool, error) {
	own, err := m.ownAddrs()
	if err != nil {
		return nil, err
	}
	found, errs := map[netip.AddrPort]bool{}, []error(nil)
	for _, peer := range m.cfg.Peers {
		host, port := m.split(peer)
		addrs, err := m.resolve(ctx, host)
		if err != nil {
			errs = append(errs, fmt.Errorf("look up %s: %w", host, err))
			maps.Copy(found, m.routes)
			continue
		}
		for _, addr := range addrs {
			if addr = addr.Unmap(); !own[addr] || port != m.port {
				found[netip.AddrPortFrom(addr, port)] = true
			}
		}
	}
	return found, errors.Join(errs...)
}

func (m *Mesh) split(peer string) (host string, port uint16) {
	if _, err := netip.ParseAddr(peer); err == nil {
		return peer, m.port
	}
	host, text, err := net.SplitHostPort(peer)
	if err != nil {
		return peer, m.port
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return host, m.port
	}
	return host, uint16(n)
}

func (m *Mesh) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, meshLookup)
	defer cancel()
	return m.cfg.Lookup(ctx, host)
}

// ownAddrs are the addresses at which this member is reached: the one it listens on, or all of
// the machine. Another member may have the same port at another address of this machine.
func (m *Mesh) ownAddrs() (map[netip.Addr]bool, error) {
	if addr := m.server.ClusterAddr().AddrPort().Addr().Unmap(); !addr.IsUnspecified() {
		return map[netip.Addr]bool{addr: true}, nil
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list own addresses: %w", err)
	}
	own := map[netip.Addr]bool{}
	for _, a := range list {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own[prefix.Addr().Unmap()] = true
		}
	}
	return own, nil
}
