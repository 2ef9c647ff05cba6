package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/proxy"
	"sluice/proxy/certs"
	"sluice/proxy/haproxy"
)

// openProxy prepares what drives HAProxy; nothing is started or bound yet.
func (n *Node) openProxy(context.Context) error {
	options, err := n.proxyOptions()
	if err != nil {
		return err
	}
	local, err := n.openLocal()
	if err != nil {
		return err
	}
	n.controller, err = proxy.NewController(proxy.Config{
		Options: options,
		Limits:  n.limits(),
		Source:  layered{newSource(n.replica, options.OpenBox), local},
		Process: haproxy.New(haproxy.Config{
			Binary: n.haproxy, ConfigFile: proxy.ConfigPath(&options), PoolFile: proxy.PoolPath(&options),
			Socket: proxy.SocketPath(&options), MasterSocket: proxy.MasterSocketPath(&options),
			Logger: n.component("haproxy"), Access: n.accessLog(),
		}),
		Capabilities: n.haproxy.Capabilities(),
		Certificates: certs.New(certs.Config{
			Dir: options.CertsDir, SecretsDir: options.SecretsDir, WriteFile: WriteFile, Now: time.Now,
			FallbackFile: filepath.Join(n.cfg.DataDir, "self-signed.pem"),
		}),
		Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		Interfaces: ownAddresses,
		LastGood:   lastGood{filepath.Join(n.cfg.DataDir, "last-good.json")},
		Earlier:    n.earlier,
		WriteFile:  WriteFile,
		Registerer: n.metrics,
		Logger:     n.cfg.Logger,
	})
	if err != nil {
		return err
	}
	n.statistics = haproxy.NewStatistics(proxy.SocketPath(&options), n.controller.AtRest)
	if err := errors.Join(n.metrics.Register(n.statistics), n.native.Register(n.statistics.Native())); err != nil {
		return fmt.Errorf("register HAProxy's statistics: %w", err)
	}
	return nil
}

// proxyOptions completes the environment with what only the node knows.
func (n *Node) proxyOptions() (proxy.Options, error) {
	o := n.haproxyUser()
	var err error
	if o.RunDir, err = n.runDir(o.CfgDir); err != nil {
		return o, err
	}
	key := n.key
	if key == nil {
		if key, err = localKey(); err != nil {
			return o, err
		}
	} else {
		o.OpenBox = key.Open
	}
	o.AuthKey = key.AuthKey()
	if err := n.users.Protect(key); err != nil {
		return o, fmt.Errorf("USERS: %w", err)
	}
	o.Users = n.users.Users
	return o, nil
}

// haproxyUser are the options with the user that HAProxy's workers become.
func (n *Node) haproxyUser() proxy.Options {
	o := n.cfg.Proxy
	if os.Geteuid() == 0 && o.User == "" {
		o.User, o.Group = "haproxy", "haproxy"
	}
	return o
}

// accessLog takes the lines of HAProxy's access log; nil if there is none.
func (n *Node) accessLog() func(line string) {
	if !n.cfg.Proxy.AccessLog.Enabled {
		return nil
	}
	log := n.component("access")
	return func(line string) { log.Info().Str("line", n.controller.LineAtRest(line)).Msg("access") }
}

// maxSocketDir leaves room for the sockets' names within the kernel's 108 bytes.
const maxSocketDir = 80

// runDir is where HAProxy's sockets are: the configuration directory, or a fresh one with
// a short name if that one's name is too long for a socket.
func (n *Node) runDir(cfgDir string) (string, error) {
	if len(cfgDir) <= maxSocketDir {
		return cfgDir, nil
	}
	dir, err := os.MkdirTemp("", "sluice-")
	if err != nil {
		return "", fmt.Errorf("make a directory for HAProxy's sockets: %w: make %s writable, or choose a shorter %s", err, os.TempDir(), setCfgDir)
	}
	n.onClose(func() error { return os.RemoveAll(dir) })
	return dir, nil
}

// limits is what this replica's operator allows in definitions.
func (n *Node) limits() service.Limits {
	return service.Limits{
		AllowRaw: n.cfg.AllowRawConfig, TemplatesDir: n.cfg.Proxy.TemplatesDir != "", OwnPorts: n.ownPorts(),
	}
}

// ownPorts are those that no service may listen on or be sent to.
func (n *Node) ownPorts() []service.OwnPort {
	var own []service.OwnPort
	add := func(addr, use string) {
		host, port, err := net.SplitHostPort(addr)
		if number, numErr := strconv.Atoi(port); err == nil && numErr == nil && number > 0 {
			own = append(own, service.OwnPort{Port: number, Addr: listens(host), Use: use})
		}
	}
	add(n.cfg.APIAddr, "the API")
	if n.cfg.NATS.Embedded() {
		add(n.cfg.NATS.Listen, "NATS")
	}
	if len(n.cfg.Peers.Names) > 0 {
		add(n.cfg.Peers.Listen, "the mesh of the replicas")
	}
	for _, b := range n.cfg.Proxy.Binds {
		own = append(own, service.OwnPort{Port: b.Port, Addr: listens(b.Addr), Use: "HTTP traffic"})
	}
	if port := n.cfg.Proxy.OwnStatsPort(); port > 0 {
		own = append(own, service.OwnPort{Port: port, Addr: listens(n.cfg.Proxy.BindAddr), Use: "the statistics page"})
	}
	return own
}

// listens is the one address that a listener with the host has; invalid: any, or a name.
func listens(host string) netip.Addr {
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil || addr.IsUnspecified() {
		return netip.Addr{}
	}
	return addr
}

// maxEarlier is how many earlier versions are tried in place of a refused one.
const maxEarlier = 8

// earlier reads a service's earlier values from the log, newest first. What was before a removal
// is none of them: nobody wants that back.
func (n *Node) earlier(ctx context.Context, name string) ([][]byte, error) {
	history, err := n.log.History(ctx, n.subjects.Event(service.Key(name)), maxEarlier)
	if err != nil {
		return nil, err
	}
	var values [][]byte
	for _, m := range history {
		e, err := events.DecodeEvent(m.Data)
		if err != nil || e.Subject != service.Key(name) {
			continue
		}
		if e.Deleted {
			break
		}
		values = append(values, e.Data)
	}
	return values, nil
}

// lastGood keeps the versions that HAProxy served last.
type lastGood struct{ path string }

var _ proxy.LastGood = lastGood{}

type goodItem struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Value   json.RawMessage `json:"value"`
}

func (l lastGood) Load() ([]proxy.Item, error) {
	data, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var kept []goodItem
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		return nil, fmt.Errorf("read last good versions: %w", err)
	}
	items := make([]proxy.Item, len(kept))
	for i, k := range kept {
		items[i] = proxy.Item{Name: k.Name, Version: k.Version, Value: k.Value}
	}
	return items, nil
}

func (l lastGood) Save(items []proxy.Item) error {
	kept := make([]goodItem, len(items))
	for i, it := range items {
		kept[i] = goodItem{it.Name, it.Version, it.Value}
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encode last good versions: %w", err)
	}
	return WriteFile(l.path, data, 0o600)
}
