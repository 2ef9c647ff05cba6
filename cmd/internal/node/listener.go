package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/api"
)

// Listener says which Swarm listeners are asked for their services at start.
type Listener struct {
	// Addrs are hosts, with a port if it is not 8080; none: nobody is asked.
	Addrs []string
	// Interval is the time between two attempts; Repeat goes on after one that worked.
	Interval time.Duration
	Repeat   bool
}

const (
	setListener setting = "LISTENER_ADDRESS"

	listenerPort    = "8080"
	listenerPath    = "/v1/docker-flow-swarm-listener/"
	listenerTimeout = 10 * time.Second
	// maxListing bounds a listener's answer in bytes.
	maxListing = 32 << 20
	// listenerJitter spreads replicas that start together: the first to ask writes, the
	// others then find nothing to do.
	listenerJitter = 2 * time.Second
)

var listenerHost = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,253}(:[0-9]{1,5})?$`)

func (l Listener) problems() error {
	var errs []error
	for _, addr := range l.Addrs {
		if !listenerHost.MatchString(addr) {
			errs = append(errs, setListener.problem(addr, "is not an address", "write a host, with :port if it is not 8080"))
		}
	}
	if len(l.Addrs) > 0 && l.Interval <= 0 {
		errs = append(errs, setting("RELOAD_INTERVAL").problem(l.Interval.String(), "is too short", "give a positive number of milliseconds"))
	}
	return errors.Join(errs...)
}

// listener asks the Swarm listeners and writes what they list.
type listener struct {
	cfg    Listener
	client *http.Client
	view   func() events.View
	// changed is closed when view may show something new.
	changed  func() <-chan struct{}
	announce func(context.Context, url.Values, func(context.Context, crdt.Entry) (bool, error)) (bool, error)
	// history gives the newest messages of a key, newest first.
	history func(ctx context.Context, key string) ([]events.Message, error)
	jitter  time.Duration // the longest delay before the first attempt
	log     zerolog.Logger
	// leftOut has the reason, by service, that was told last; it belongs to run.
	leftOut map[string]string
}

var _ api.Listener = (*listener)(nil)

// newListener wires the listeners to the replica, the log and the API's door.
func (n *Node) newListener() *listener {
	l := &listener{
		cfg: n.cfg.Listener, view: n.replica.View, changed: n.replica.Changed, log: n.component("listener"), leftOut: map[string]string{},
		client: &http.Client{
			Timeout:       listenerTimeout,
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		announce: func(ctx context.Context, q url.Values, mine func(context.Context, crdt.Entry) (bool, error)) (bool, error) {
			return n.api.Announce(ctx, q, mine) // the API is there before run is called
		},
		history: func(ctx context.Context, key string) ([]events.Message, error) {
			return n.log.History(ctx, n.subjects.Event(key), maxEarlier)
		},
	}
	if !n.cfg.NATS.Embedded() {
		l.jitter = listenerJitter
	}
	return l
}

// run asks until every listener has answered and everything is written; with Repeat it
// never ends before ctx does.
func (l *listener) run(ctx context.Context) error {
	if err := l.restored(ctx); err != nil {
		return nil
	}
	wait := time.Duration(0)
	if l.jitter > 0 {
		wait = rand.N(l.jitter)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for told := ""; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		err := l.fetch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && !l.cfg.Repeat:
			<-ctx.Done()
			return nil
		case err == nil:
			told = ""
		case err.Error() != told: // once for each reason, not at every attempt
			told = err.Error()
			l.log.Warn().Err(err).Dur("again_in", l.cfg.Interval).Msg("cannot take over the services of the listener")
		}
		timer.Reset(l.cfg.Interval)
	}
}

// restored waits for a state that is up to date: without it everything would look absent.
func (l *listener) restored(ctx context.Context) error {
	return upToDate(ctx, l.view, l.changed, l.cfg.Interval)
}

// upToDate waits for a state that is restored and not stale, or for the end of ctx.
func upToDate(ctx context.Context, view func() events.View, news func() <-chan struct{}, every time.Duration) error {
	for {
		changed := news()
		if v := view(); v.Restored && v.Stale == "" {
			return nil
		}
		poll := time.NewTimer(every) // not every cause of staleness tells of its end
		select {
		case <-ctx.Done():
			poll.Stop()
			return ctx.Err()
		case <-changed:
		case <-poll.C:
		}
		poll.Stop()
	}
}

// fetch asks all listeners. One that cannot be reached keeps no other from being asked.
func (l *listener) fetch(ctx context.Context) error {
	var errs []error
	for _, addr := range l.cfg.Addrs {
		if err := l.fetchFrom(ctx, addr); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", setListener, addr, err))
		}
	}
	return errors.Join(errs...)
}

func (l *listener) fetchFrom(ctx context.Context, addr string) error {
	body, err := l.get(ctx, addr, "get-services")
	if err != nil {
		return err
	}
	var listing []map[string]string
	if err := json.Unmarshal(body, &listing); err != nil {
		return fmt.Errorf("read its services: %w", err)
	}
	written := 0
	for _, params := range listing {
		q := make(url.Values, len(params))
		for name, value := range params {
			q.Set(name, value)
		}
		done, err := l.announce(ctx, q, l.mine)
		switch {
		case errors.Is(err, api.ErrNotTaken):
			l.tellLeftOut(q.Get("serviceName"), err)
		case err != nil:
			return fmt.Errorf("write service %.60q: %w", q.Get("serviceName"), err)
		case done:
			written++
		}
	}
	level := zerolog.InfoLevel
	if l.cfg.Repeat && written == 0 {
		level = zerolog.DebugLevel
	}
	l.log.WithLevel(level).Str("listener", addr).Int("listed", len(listing)).Int("written", written).Msg("services of the listener taken over")
	return nil
}

// maxLeftOut bounds leftOut; names come from outside.
const maxLeftOut = 10_000

// tellLeftOut warns once for each reason, however often the listener is asked.
func (l *listener) tellLeftOut(service string, reason error) {
	if l.leftOut[service] == reason.Error() {
		return
	}
	if len(l.leftOut) >= maxLeftOut {
		clear(l.leftOut)
	}
	l.leftOut[service] = reason.Error()
	l.log.Warn().Err(reason).Str("service", service).Msg("a service of the listener is left out")
}

// mine reports whether the event behind an entry came from a listener. One that the log
// does not hold any more counts as somebody else's.
func (l *listener) mine(ctx context.Context, e crdt.Entry) (bool, error) {
	messages, err := l.history(ctx, e.Key)
	if err != nil {
		return false, fmt.Errorf("read the history of %s: %w", e.Key, err)
	}
	for _, m := range messages {
		if event, err := events.DecodeEvent(m.Data); err == nil && event.Stamp == e.Stamp {
			return event.Origin == api.OriginListener, nil
		}
	}
	return false, nil
}

// Notify asks every listener to announce its services to the API again.
func (l *listener) Notify(ctx context.Context) error {
	var errs []error
	for _, addr := range l.cfg.Addrs {
		if _, err := l.get(ctx, addr, "notify-services"); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", setListener, addr, err))
		}
	}
	return errors.Join(errs...)
}

func (l *listener) get(ctx context.Context, addr, what string) ([]byte, error) {
	if !strings.Contains(addr, ":") {
		addr = net.JoinHostPort(addr, listenerPort)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+listenerPath+what, nil)
	if err != nil {
		return nil, err
	}
	res, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %d to %s", res.StatusCode, what)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxListing+1))
	if err == nil && len(body) > maxListing {
		err = fmt.Errorf("its answer is larger than %d bytes", maxListing)
	}
	if err != nil {
		return nil, fmt.Errorf("read its answer to %s: %w", what, err)
	}
	return body, nil
}
