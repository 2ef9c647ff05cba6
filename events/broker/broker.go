// Package broker is the embedded NATS server with the log's store: one standalone node that
// makes every acknowledged message durable before it acknowledges it.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

const (
	// DefaultMaxMemory limits streams and consumers in memory: 64 MiB. The log is not one.
	DefaultMaxMemory int64 = 64 << 20
	// MinStore is the smallest store that is useful: 64 MiB.
	MinStore int64 = 64 << 20

	defaultMaxStore int64 = 8 << 30
	startTimeout          = 15 * time.Second
	tlsTimeout            = 5 * time.Second
	pollInterval          = 10 * time.Millisecond
)

// Config describes the server.
type Config struct {
	// StoreDir holds the identity file and all messages. It is created if missing.
	StoreDir string
	// LockWait is how long another process that has the store may take to leave it; 0: it must
	// not be in use.
	LockWait time.Duration
	// Listen is the client address, host:port; port 0 takes a free one. Empty: in-process
	// connections only.
	Listen string
	// MaxMemory limits memory storage in bytes; 0: DefaultMaxMemory.
	MaxMemory int64
	// MaxStore limits file storage in bytes; 0: 8 GiB or 80 % of what the disk has free,
	// whichever is less. A store keeps the greatest limit that it was ever opened with,
	// since a lower one could hide streams that reserved more.
	MaxStore int64
	// Token, if not empty, is asked of every client, those in process too.
	Token string
	// NKeys are the public nkeys of users that may connect, instead of a token.
	NKeys []string
	// TLS secures the client port.
	TLS TLS
	// Logger gets the server's own log.
	Logger zerolog.Logger
}

// Settings as the operator calls them.
const (
	SettingListen   = "--nats-listen (SLUICE_NATS_LISTEN)"
	SettingToken    = "--nats-token-file (SLUICE_NATS_TOKEN_FILE, secret sluice_nats_token)"
	SettingNKeys    = "--nats-nkeys-file (SLUICE_NATS_NKEYS_FILE, secret sluice_nats_nkeys)"
	settingMaxStore = "--max-store (SLUICE_MAX_STORE)"
	settingDataDir  = "--data-dir (SLUICE_DATA_DIR)"
	settingPeers    = "--peers-listen (SLUICE_PEERS_LISTEN)"
)

// Validate reports all problems of the settings that can be told before anything starts.
func (c Config) Validate() error {
	var errs []error
	if c.StoreDir == "" {
		errs = append(errs, errors.New(settingDataDir+" is empty: name a directory for the log"))
	}
	_, _, err := splitAddress(SettingListen, c.Listen)
	errs = append(errs, err)
	if c.MaxStore < 0 || c.MaxStore > 0 && c.MaxStore < MinStore {
		errs = append(errs, fmt.Errorf("%s %d is too small for a log: give at least %d bytes, or 0 to let the disk decide", settingMaxStore, c.MaxStore, MinStore))
	}
	return errors.Join(append(errs, c.problemsOfAccess())...)
}

// Server is a running server. Safe for concurrent use.
type Server struct {
	server   *server.Server
	store    *store
	log      *bridge
	maxStore int64
	// jetStream is what the store was opened with.
	jetStream server.JetStreamConfig
	end       context.CancelFunc // of what keeps the store open
	kept      sync.WaitGroup
	done      chan struct{} // closed when the server has ended and the store is unlocked
	stop      chan struct{} // capacity 1: who takes the token shuts down
}

// Start opens the store and returns a server whose log is usable. Errors name the setting to
// change: a busy port, a directory that cannot be written, one in use by another process, one
// that belongs to a broker of another mode.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	host, port, err := listenAddress(SettingListen, cfg.Listen)
	if err != nil {
		return nil, err
	}
	opts := options(cfg)
	opts.Host, opts.Port, opts.DontListen = host, port, cfg.Listen == ""
	if err := admit(opts, cfg); err != nil {
		return nil, err
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return nil, err
	}
	opts.ServerName, opts.JetStreamMaxStore = st.identity.Name, st.identity.MaxStore
	b := &Server{
		store:    st,
		maxStore: st.identity.MaxStore,
		log:      newBridge(cfg.Logger.With().Str("component", "broker").Logger()),
		end:      func() {},
		done:     make(chan struct{}),
		stop:     make(chan struct{}, 1),
	}
	b.stop <- struct{}{}
	if b.server, err = server.NewServer(opts); err != nil {
		return nil, errors.Join(fmt.Errorf("configure embedded NATS server: %w", err), st.close())
	}
	b.server.SetLoggerV2(b.log, false, false, false)
	b.server.Start()
	if err := b.awaitStart(ctx, cfg); err != nil {
		return nil, errors.Join(err, b.Shutdown(context.WithoutCancel(ctx)))
	}
	b.jetStream = *b.server.JetStreamConfig()
	b.jetStream.StoreDir = cfg.StoreDir // without what the server adds to it
	ctx, b.end = context.WithCancel(context.WithoutCancel(ctx))
	b.kept.Go(func() { b.keepOpen(ctx) })
	if cfg.Listen != "" && cfg.Token == "" && len(cfg.NKeys) == 0 && cfg.TLS.ClientCAFile == "" && !loopback(host) {
		b.log.Warnf("the client port %s is open to other machines and asks for no token", cfg.Listen)
	}
	return b, nil
}

func options(cfg Config) *server.Options {
	maxMemory := cfg.MaxMemory
	if maxMemory == 0 {
		maxMemory = DefaultMaxMemory
	}
	return &server.Options{
		NoSigs:                 true,
		NoLog:                  true, // ours is set before the start
		JetStream:              true,
		StoreDir:               cfg.StoreDir,
		JetStreamMaxMemory:     maxMemory,
		SyncAlways:             true,
		DisableJetStreamBanner: true,
	}
}

// awaitStart waits until the log can be used. The server reports a failed start only in its
// log, which the bridge keeps.
func (b *Server) awaitStart(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if b.server.ReadyForConnections(pollInterval) && b.serving() == nil {
			return nil
		}
		select {
		case text := <-b.log.fatal:
			return fmt.Errorf("start embedded NATS server: %s", text)
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("start embedded NATS server: not usable in time (store %q): %w", cfg.StoreDir, errors.Join(ctx.Err(), b.serving()))
		}
	}
}

// InProcessConn opens a client connection without a port.
func (b *Server) InProcessConn() (net.Conn, error) { return b.server.InProcessConn() }

// ClientURL is the address of the client port, empty if there is none.
func (b *Server) ClientURL() string {
	if addr := b.server.Addr(); addr != nil {
		return "nats://" + addr.String()
	}
	return ""
}

// MaxStore is the limit of file storage in bytes; no stream may be larger.
func (b *Server) MaxStore() int64 { return b.maxStore }

// Running reports whether the server has not ended.
func (b *Server) Running() bool { return b.server.Running() }

// Shutdown ends the server and writes out and unlocks its store. It returns when that is done or
// with ctx's error, may be called again, and several callers wait for the same end.
func (b *Server) Shutdown(ctx context.Context) error {
	var closeErr error
	select {
	case <-b.stop:
		go func() {
			defer close(b.done)
			b.end()
			b.kept.Wait()
			b.server.Shutdown()
			b.server.WaitForShutdown()
			closeErr = b.store.close()
		}()
	default:
	}
	select {
	case <-b.done:
		return closeErr
	case <-ctx.Done():
		return fmt.Errorf("stop embedded NATS server: %w", ctx.Err())
	}
}

// splitAddress splits host:port, such as 127.0.0.1:4222.
func splitAddress(setting, text string) (string, int, error) {
	if text == "" {
		return "", 0, nil
	}
	host, portText, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, fmt.Errorf("%s %.100q is not an address: write host:port, such as 127.0.0.1:4222", setting, text)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%s %.100q has no port from 0 to 65535: write host:port, such as 127.0.0.1:4222", setting, text)
	}
	return host, int(port), nil
}

// listenAddress splits an address and makes sure, before anything is started, that it can be
// listened on: the server itself would only log it.
func listenAddress(setting, text string) (string, int, error) {
	host, port, err := splitAddress(setting, text)
	if err != nil || text == "" {
		return "", 0, err
	}
	probe, err := net.Listen("tcp", text)
	if err != nil {
		return "", 0, fmt.Errorf("%s %s: cannot listen: %w; stop what uses it or choose another address", setting, text, err)
	}
	if err := probe.Close(); err != nil {
		return "", 0, fmt.Errorf("%s %s: %w", setting, text, err)
	}
	if port == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, port, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
