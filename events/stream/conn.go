package stream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

const (
	reconnectWait   = 200 * time.Millisecond
	reconnectJitter = 100 * time.Millisecond
	dialTimeout     = 2 * time.Second
	pingInterval    = 2 * time.Second
	closeTimeout    = 2 * time.Second
)

// ConnConfig says where the log is and how to enter.
type ConnConfig struct {
	// URL is one NATS address or several, separated by commas: nats, tls, ws or wss.
	// Empty with InProcess.
	URL string
	// InProcess is an embedded server; its connections need no port.
	InProcess nats.InProcessConnProvider
	// Name is shown in the server's connection list.
	Name string
	// InboxPrefix is where answers arrive, for accounts that restrict it; empty: NATS' default.
	InboxPrefix string
	Auth        Auth
	// Logger gets one line per lost and restored connection.
	Logger zerolog.Logger
}

// Conn is a pair of connections to one NATS: one reads, the other publishes, so that a long
// replay never delays an acknowledgement. Both reconnect for ever and refuse to buffer while
// they are down: what could not be sent is known not to be sent.
//
// Safe for concurrent use.
type Conn struct {
	log     zerolog.Logger
	reads   *nats.Conn
	writes  *nats.Conn
	closing sync.WaitGroup
	stop    sync.Once

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change of state
}

// Connect makes both connections. A NATS that cannot be reached now is not an error: the
// connections go on trying. Errors are unusable settings: addresses, key files, certificates.
func Connect(cfg ConnConfig) (*Conn, error) {
	if err := checkURLs(cfg); err != nil {
		return nil, err
	}
	auth, err := cfg.Auth.options()
	if err != nil {
		return nil, err
	}
	c := &Conn{log: cfg.Logger.With().Str("component", "nats").Logger(), changed: make(chan struct{})}
	if c.reads, err = c.dial(cfg, "", auth); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if c.writes, err = c.dial(cfg, " publisher", auth); err != nil {
		c.reads.Close()
		c.closing.Wait()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return c, nil
}

func (c *Conn) dial(cfg ConnConfig, suffix string, auth []nats.Option) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name(cfg.Name + suffix),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.RetryOnFailedConnect(true),
		// Without this a wrong password, corrected a minute later, would have ended the
		// connection for ever.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		// While it dials, all calls to the connection wait. The dialer looks names up within its own
		// time; the library would do it before, without any.
		nats.SkipHostLookup(),
	}
	opts = append(opts, c.handlers(c.log.With().Str("connection", strings.TrimSpace("main"+suffix)).Logger(), cfg.InProcess != nil)...)
	opts = append(opts, auth...)
	if cfg.InProcess != nil {
		opts = append(opts, nats.InProcessServer(cfg.InProcess))
	}
	if cfg.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(cfg.InboxPrefix))
	}
	c.closing.Add(1)
	nc, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		c.closing.Done()
		return nil, err
	}
	return nc, nil
}

// handlers log each outage once, not each of its attempts, and signal every change.
func (c *Conn) handlers(log zerolog.Logger, inProcess bool) []nats.Option {
	var told atomic.Bool
	warn := func(err error) {
		// "No servers" sums up attempts whose reasons come one by one.
		if err != nil && !errors.Is(err, nats.ErrNoServers) && told.CompareAndSwap(false, true) {
			log.Warn().Err(err).Msg("cannot reach nats, trying on")
		}
	}
	up := func(nc *nats.Conn) {
		told.Store(false)
		url := nc.ConnectedUrlRedacted()
		if inProcess { // the library names its default address
			url = "in process"
		}
		log.Info().Str("url", url).Msg("connected to nats")
		c.notify()
	}
	return []nats.Option{
		nats.ConnectHandler(up),
		nats.ReconnectHandler(up),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { warn(err); c.notify() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { warn(err) }),
		nats.ErrorHandler(func(nc *nats.Conn, _ *nats.Subscription, err error) {
			if !nc.IsConnected() {
				warn(err)
				return
			}
			log.Warn().Err(err).Msg("nats reported an error")
		}),
		nats.ClosedHandler(func(*nats.Conn) { c.notify(); c.closing.Done() }),
	}
}

func (c *Conn) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// NATS is the reading connection, for request-reply and core subscriptions.
func (c *Conn) NATS() *nats.Conn { return c.reads }

// Connected reports whether both connections are up.
func (c *Conn) Connected() bool { return c.reads.IsConnected() && c.writes.IsConnected() }

// Changed returns the channel that is closed when a connection is lost or restored next.
// Take it before asking Connected.
func (c *Conn) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// WaitConnected blocks until both connections are up, or returns ctx's error.
func (c *Conn) WaitConnected(ctx context.Context) error {
	for {
		changed := c.Changed()
		if c.Connected() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for NATS: %w", ctx.Err())
		}
	}
}

// Close ends both connections and waits for their callbacks, at most two seconds. It may be
// called more than once.
func (c *Conn) Close() error {
	var err error
	c.stop.Do(func() {
		done := make(chan struct{})
		go func() {
			c.reads.Close()
			c.writes.Close()
			c.closing.Wait()
			close(done)
		}()
		timer := time.NewTimer(closeTimeout)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			err = errors.New("close NATS connections: no end within 2s")
		}
	})
	return err
}

func checkURLs(cfg ConnConfig) error {
	if cfg.InProcess != nil {
		if cfg.URL != "" {
			return errors.New("NATS: both an address and an embedded server are given; use one of them")
		}
		return nil
	}
	return CheckURL(cfg.URL)
}

// CheckURL reports what is wrong with a list of NATS addresses, without repeating them: they
// may hold passwords.
func CheckURL(list string) error {
	if strings.TrimSpace(list) == "" {
		return errors.New("NATS: no address is given; set one such as nats://nats:4222")
	}
	for i, text := range strings.Split(list, ",") {
		if err := checkURL(strings.TrimSpace(text)); err != nil {
			return fmt.Errorf("NATS address %d: %w", i+1, err)
		}
	}
	return nil
}

// checkURL never repeats the address: it may hold a password.
func checkURL(text string) error {
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("is not an address; write nats://host:port")
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	default:
		return fmt.Errorf("has the unknown scheme %.20q; use nats, tls, ws or wss", u.Scheme)
	}
	if u.Hostname() == "" {
		return errors.New("names no host; write nats://host:port")
	}
	return nil
}
