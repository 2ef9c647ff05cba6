package proxy

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sluice/crdt/service"
)

// Config is what a Controller needs. Source, Process, Lookup and WriteFile are mandatory.
type Config struct {
	Options Options
	// Limits are what this replica's operator allows in definitions.
	Limits       service.Limits
	Source       Source
	Process      Process
	Certificates Certificates
	Lookup       func(ctx context.Context, host string) ([]netip.Addr, error)
	// LastGood keeps what was live across restarts; nil: nothing is kept. Earlier gives
	// earlier values of a service, newest first; nil: there are none.
	LastGood LastGood
	Earlier  func(ctx context.Context, name string) ([][]byte, error)
	// WriteFile replaces a file atomically and durably.
	WriteFile func(path string, data []byte, mode fs.FileMode) error
	// Interval is the least time between two loads (2 s), Crowded the same while at least
	// 8 old workers live (30 s), Resolve how often names are looked up again (5 s).
	Interval, Crowded, Resolve time.Duration
	// Ban is when a refused version is first tried again (30 s), later ones after twice the
	// time: its cause may be local and pass.
	Ban time.Duration
	// StopTimeout bounds the stop of HAProxy at the end of Run (15 s).
	StopTimeout time.Duration
	Registerer  prometheus.Registerer
	Logger      zerolog.Logger
}

// crowd is how many old workers make loads rarer.
const crowd = 8

// Controller keeps HAProxy in step with the desired state. Run drives it; the other
// methods may be called from any goroutine meanwhile.
type Controller struct {
	cfg      Config
	options  *Options
	resolver *Resolver
	metrics  *metrics
	// presented is what HAProxy presents.
	presented *presented
	serving   serving // what HAProxy serves, for Why
	log       zerolog.Logger
	requests  chan request
	checks    chan struct{} // one token for each running Check

	mu       sync.Mutex
	report   Report
	reported chan struct{}

	// Everything below belongs to Run's loop.
	decoded map[string]decodedItem
	good    map[string]candidate // the versions that were live last
	banned  map[string]*ban
	banTime map[string]time.Duration // how long the last ban was
	live    liveState
	// certificates are the verdicts on those of the map, usable the ones that serve.
	certificates map[string]*bundleState
	usable       []Bundle
	unusable     []string // one line for each that does not
	generation   uint64
	next         time.Time // no load before
	retry        time.Time // no new attempt before, after one that failed
	failures     int
	saved        time.Time
	unsaved      bool
}

// liveState is what HAProxy runs with.
type liveState struct {
	digest   string
	files    []File
	ports    map[int]bool
	position Desired // without items
	loaded   bool
}

type request struct {
	recreate bool
	done     chan error
}

// NewController checks the configuration and prepares the directories; nothing is started
// or bound before Run and before the desired state is ready.
func NewController(cfg Config) (*Controller, error) {
	if cfg.Source == nil || cfg.Process == nil || cfg.Lookup == nil || cfg.WriteFile == nil {
		return nil, errors.New("make controller: Source, Process, Lookup and WriteFile are mandatory")
	}
	if err := cfg.Options.Validate(); err != nil {
		return nil, err
	}
	setDefault(&cfg.Interval, 2*time.Second)
	setDefault(&cfg.Crowded, 30*time.Second)
	setDefault(&cfg.Resolve, 5*time.Second)
	setDefault(&cfg.Ban, 30*time.Second)
	setDefault(&cfg.StopTimeout, 15*time.Second)
	if cfg.Options.AuthKey == "" {
		var key [32]byte
		if _, err := rand.Read(key[:]); err != nil {
			return nil, fmt.Errorf("make credential key: %w", err)
		}
		cfg.Options.AuthKey = base64.StdEncoding.EncodeToString(key[:])
	}
	for _, dir := range []string{cfg.Options.CfgDir, filepath.Join(cfg.Options.CfgDir, "maps"), filepath.Join(cfg.Options.CfgDir, "certs"), cfg.Options.runDir()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("make directory: %w; give a writable one with --cfg-dir", err)
		}
	}
	if err := writable(cfg.Options.CfgDir); err != nil {
		return nil, err
	}
	c := &Controller{
		cfg: cfg, options: &cfg.Options, log: cfg.Logger.With().Str("component", "proxy").Logger(),
		resolver: NewResolver(ResolverConfig{Lookup: cfg.Lookup, Interval: cfg.Resolve}),
		metrics:  newMetrics(cfg.Registerer), presented: newPresented(),
		requests: make(chan request), checks: make(chan struct{}, 2), reported: make(chan struct{}),
		decoded: map[string]decodedItem{}, good: map[string]candidate{}, banned: map[string]*ban{}, banTime: map[string]time.Duration{},
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(c.presented); err != nil {
			return nil, fmt.Errorf("register certificate metric: %w", err)
		}
	}
	c.sweepStaging()
	return c, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return fmt.Errorf("write to %s: %w; make it writable or give another with --cfg-dir", dir, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Run keeps HAProxy in step until ctx ends, then stops it softly. It returns when
// everything it started has ended.
func (c *Controller) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.resolver.Run(ctx) })
	group.Go(func() error { return c.loop(ctx) })
	err := group.Wait()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.StopTimeout)
	defer cancel()
	if stopErr := c.cfg.Process.Stop(stop); stopErr != nil {
		return fmt.Errorf("stop haproxy: %w", stopErr)
	}
	if c.live.loaded {
		c.save(true)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// loop acts on the newest state whenever anything may have changed it.
func (c *Controller) loop(ctx context.Context) error {
	c.restore()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		// Taken before the state is read, so that no change in between is missed.
		changed, resolved, exited := c.cfg.Source.Changed(), c.resolver.Changed(), c.cfg.Process.Exited()
		wait := c.step(ctx)
		if time.Now().Before(c.retry) || c.live.loaded && time.Now().Before(c.next) {
			changed, resolved = nil, nil // nothing can be done about them before the wait is over
		}
		c.observe(ctx)
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-resolved:
		case <-exited:
		case <-timer.C:
		case r := <-c.requests:
			r.done <- c.serve(ctx, r)
		}
	}
}

// idle is how often the process and local files are looked at without any signal.
const idle = 2 * time.Second

// step brings HAProxy up to date if that is due, and says when to look again.
func (c *Controller) step(ctx context.Context) time.Duration {
	d := c.cfg.Source.Desired()
	if !d.Ready {
		return idle
	}
	if wait := time.Until(c.next); wait > 0 && c.live.loaded && c.cfg.Process.State(ctx).Up {
		return wait
	}
	if wait := time.Until(c.retry); wait > 0 && c.cfg.Process.State(ctx).Up {
		return wait
	}
	if err := c.sync(ctx, d, false); err != nil && ctx.Err() == nil {
		err = errors.Join(err, c.revive(ctx))
		c.failures++
		wait := min(100*time.Millisecond<<min(c.failures, 7), 10*time.Second)
		c.retry = time.Now().Add(wait)
		c.log.Error().Err(err).Dur("again_in", wait).Msg("cannot bring haproxy up to date")
		c.publish(func(r *Report) { r.LastError = err.Error() })
		return wait
	}
	c.failures = 0
	c.save(false)
	if wait := time.Until(c.next); wait > 0 { // changes that come before wait for it
		return min(wait, idle)
	}
	return idle
}

// Reload loads the files as they are, or with recreate renders and loads them again.
// It waits for the result.
func (c *Controller) Reload(ctx context.Context, recreate bool) error {
	r := request{recreate: recreate, done: make(chan error, 1)}
	select {
	case c.requests <- r:
	case <-ctx.Done():
		return fmt.Errorf("reload: %w", ctx.Err())
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("reload: %w", ctx.Err())
	}
}

// ErrNotReady: HAProxy runs with nothing yet.
var ErrNotReady = errors.New("the proxy is not ready yet")

func (c *Controller) serve(ctx context.Context, r request) error {
	d := c.cfg.Source.Desired()
	if !d.Ready || !c.live.loaded {
		return ErrNotReady
	}
	if r.recreate {
		return c.sync(ctx, d, true)
	}
	return c.reloadAsIs(ctx)
}

// Config is the text of haproxy.cfg as it stands on disk.
func (c *Controller) Config(context.Context) ([]byte, error) {
	data, err := os.ReadFile(ConfigPath(c.options))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotReady
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}
