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
	// Interfaces gives the addresses of this machine; nil: only loopback is known to be its own.
	Interfaces func() ([]netip.Addr, error)
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
	// Capabilities are those of Process.
	Capabilities Capabilities
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
	log       zerolog.Logger
	requests  chan request
	checks    chan struct{} // one token for each running Check

	mu     sync.Mutex
	report Report
	news   chan struct{} // closed when report next changes
	// listeners have the entry ports outside the http frontend.
	listeners  []listener
	interfaces []netip.Addr // addresses of this machine

	// names are those at rest of backends that have others in HAProxy.
	names *names

	// Everything below belongs to Run's loop.
	model *Model
	live  *live // nil before the first load
	items []Item
	// overlays are those in the model.
	overlays []Item
	// current are the versions in the model, newcomers those that wait for their hosts.
	current   map[string]candidate
	newcomers map[string]newcomer
	good      map[string]candidate // the versions that were live last
	banned    map[string]*ban
	banTime   map[string]time.Duration // how long the last ban was
	// certificates are the verdicts on those of the map, usable the ones that serve.
	certificates map[string]*bundleState
	usable       []Bundle
	unusable     []string     // one line for each that does not
	bundled      []Bundle     // the desired ones that were looked at last
	pages        map[int]page // the error pages that HAProxy was asked about

	// announced is the shape that the door knows the entry ports of, reported what was told of last.
	announced *shape
	reported  struct {
		shape *shape
		notes []string
	}
	up bool
	// generation is that of the live worker, attempts numbers the loads.
	generation, attempts uint64
	worker               int // process number, 0: unknown
	ports                map[int]bool
	// doubtful: HAProxy has to be asked about the model before it is loaded.
	doubtful bool
	// digest is that of the files at rest, served these files; onDisk are those written
	// last, nil after an error.
	digest         string
	served, onDisk []File
	writer         writer
	// unwritten: the files lag behind; pending is what waits for a load.
	unwritten bool
	pending   string
	// adrift: the worker holds what is not known, only a load helps.
	adrift       bool
	retryLeaving bool
	next         time.Time // no load before
	crowded      bool      // many old workers live
	rush         int       // how often in a row the pool was used up fast
	retry        time.Time // no load before, after one that failed
	failures     int
	changed      time.Time // last command
	loadedAt     time.Time
	looked       time.Time // at local files and the process
	written      time.Time
	saved        time.Time
	unsaved      bool
}

// request is something to be done by the loop, between two steps.
type request struct {
	run  func(ctx context.Context) error
	done chan error
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
	if err := makeDirectories(&cfg.Options); err != nil {
		return nil, err
	}
	if err := writable(cfg.Options.CfgDir); err != nil {
		return nil, err
	}
	c := &Controller{
		cfg: cfg, log: cfg.Logger.With().Str("component", "proxy").Logger(),
		resolver: NewResolver(ResolverConfig{Lookup: cfg.Lookup, Interval: cfg.Resolve}),
		metrics:  newMetrics(cfg.Registerer), presented: newPresented(),
		requests: make(chan request), checks: make(chan struct{}, 2), news: make(chan struct{}),
		names: newNames(), current: map[string]candidate{}, newcomers: map[string]newcomer{},
		good: map[string]candidate{}, banned: map[string]*ban{}, banTime: map[string]time.Duration{},
	}
	c.options = &c.cfg.Options
	c.options.AddBackend = cfg.Capabilities.AddBackend
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(c.presented); err != nil {
			return nil, fmt.Errorf("register certificate metric: %w", err)
		}
	}
	view := c.view()
	c.model = newModel(c.options, &view)
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
	if c.loaded() {
		c.flush()
		c.save(true)
	}
	c.writer.wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Reload loads the files as they are, or with recreate renders and loads them again.
// It waits for the result.
func (c *Controller) Reload(ctx context.Context, recreate bool) error {
	err := c.ask(ctx, request{run: func(ctx context.Context) error {
		if !recreate {
			return c.reloadAsIs(ctx)
		}
		d := c.cfg.Source.Desired()
		c.look(ctx, d)
		c.take(ctx, d)
		return c.load(ctx, d)
	}})
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	return nil
}

// ask hands a request to the loop and waits for the result.
func (c *Controller) ask(ctx context.Context, r request) error {
	r.done = make(chan error, 1)
	select {
	case c.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ErrNotReady: HAProxy runs with nothing yet.
var ErrNotReady = errors.New("the proxy is not ready yet")

func (c *Controller) serve(ctx context.Context, r request) error {
	if !c.cfg.Source.Desired().Ready || !c.loaded() {
		return ErrNotReady
	}
	return r.run(ctx)
}

// Config is the text of haproxy.cfg as it stands on disk, with all changes up to now.
func (c *Controller) Config(ctx context.Context) ([]byte, error) {
	var text []byte
	err := c.ask(ctx, request{run: func(context.Context) (err error) {
		c.flush()
		text, err = os.ReadFile(ConfigPath(c.options))
		return err
	}})
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return text, nil
}
