package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"sluice/crdt/service"
	"sluice/events"
)

// OriginHeader is how the command line and watchers tell that a change came through them.
const OriginHeader = "X-Sluice-Origin"

var traceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// caller is who asked, and through what.
type caller struct{ actor, origin, trace string }

func newCaller(r *http.Request, actor string) caller {
	c := caller{actor: actor, origin: "api"}
	switch r.Header.Get(OriginHeader) {
	case "cli":
		c.origin = "cli"
	case OriginSwarm:
		c.origin = OriginSwarm
		if actor == actorLocal || actor == actorInsecure {
			c.actor = actorWatcher
		}
	}
	if t := r.Header.Get("Traceparent"); traceParent.MatchString(t) {
		c.trace = t
	}
	return c
}

// Receipt tells what became of a change.
type Receipt struct {
	// Outcome is durable, accepted or unchanged.
	Outcome string `json:"outcome"`
	// StreamID and Seq are the position in the log that holds the change, or where the state
	// was as asked; 0: the log was not asked.
	StreamID string `json:"streamId"`
	Seq      uint64 `json:"seq"`
	Stamp    string `json:"stamp,omitempty"`
	EventID  string `json:"eventId,omitempty"`
	// Result is what the fold made of it: applied or beaten; empty: not folded here yet.
	Result string `json:"result,omitempty"`
	// Live is the scope where the change was proven to be live; empty: not asked for.
	Live string `json:"live,omitempty"`
}

func newReceipt(r events.Receipt) Receipt {
	out := Receipt{Outcome: OutcomeDurable, StreamID: r.StreamID, Seq: r.Seq, EventID: r.EventID, Result: string(r.Result)}
	if !r.Stamp.IsZero() {
		out.Stamp = r.Stamp.String()
	}
	switch {
	case r.NoOp:
		out.Outcome = OutcomeUnchanged
	case r.Seq == 0:
		out.Outcome = OutcomeAccepted
	}
	return out
}

// unlogged: the log does not have the change, or was not asked whether one is needed. So
// nothing is durable, and there is no position to wait for.
func (r Receipt) unlogged() bool { return r.Seq == 0 }

// status is 202 without the log.
func (r Receipt) status() int {
	if r.unlogged() {
		return http.StatusAccepted
	}
	return http.StatusOK
}

// waiting says where and how long to wait for a change to be live.
type waiting struct {
	scope   events.Scope
	timeout time.Duration
}

const (
	localWait = 5 * time.Second
	allWait   = 10 * time.Second
)

// parseWaiting reads wait and timeout; a missing wait is def.
func parseWaiting(q url.Values, def events.Scope) (waiting, error) {
	w := waiting{scope: def}
	if text := q.Get("wait"); text != "" {
		w.scope = events.Scope(text)
	}
	switch w.scope {
	case events.WaitNone, events.WaitLocal:
		w.timeout = localWait
	case events.WaitAll:
		w.timeout = allWait
	default:
		return w, badParam("wait", "is not a scope", "use all, local or none")
	}
	text := q.Get("timeout")
	if text == "" {
		return w, nil
	}
	d, err := time.ParseDuration(text)
	if seconds, nerr := strconv.Atoi(text); nerr == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d <= 0 || d > maxWait {
		return w, badParam("timeout", "is not a time", "use for example 30s, at most "+maxWait.String())
	}
	w.timeout = d
	return w, nil
}

// condition is what must hold for a change to be made.
type condition struct {
	stamp  string // If-Match; "*": any live value
	absent bool
}

// terms are what goes with a change: who wants it, where it has to be live, and what must
// hold before.
type terms struct {
	who  caller
	wait waiting
	cond condition
}

// put takes a parsed definition all the way: checks, protection, the log, the proof.
func (s *Server) put(ctx context.Context, svc *service.Service, t terms) (Receipt, error) {
	if err := svc.Validate(s.cfg.Limits); err != nil {
		return Receipt{}, err
	}
	if err := s.resolves(ctx, svc); err != nil {
		return Receipt{}, err
	}
	if err := svc.Protect(s.cfg.Key); err != nil {
		return Receipt{}, err
	}
	value, err := svc.Canonical()
	if err != nil {
		return Receipt{}, err
	}
	key, same := service.Key(svc.Name), sameAs(value)
	if r, ok := s.settled(key, value, t); ok {
		return r, nil
	}
	// Listeners announce everything again and again: what is served already is not tried again.
	now, ok := s.cfg.Replica.Entry(key)
	exists := ok && now.Live()
	if !exists || !same(now.Value, value) {
		if err := s.cfg.Proxy.Check(ctx, *svc); err != nil {
			return Receipt{}, fmt.Errorf("check %s: %w", svc.Name, err)
		}
	}
	if _, local := s.cfg.Local[svc.Name]; !exists && !local {
		if err := s.forgetOverlay(ctx, svc.Name, t.who); err != nil {
			return Receipt{}, err
		}
	}
	return s.write(ctx, t.wait, events.Change{
		Key: key, Value: value, Equal: same,
		Actor: t.who.actor, Origin: t.who.origin, TraceParent: t.who.trace,
		IfMatch: t.cond.stamp, IfAbsent: t.cond.absent,
	})
}

// sameAs compares documents with value, which is a part of what a change costs, and remembers
// the answer for the document that it was asked about last. Not safe for concurrent use.
func sameAs(value []byte) func(current, _ []byte) bool {
	var last []byte
	var same bool
	return func(current, _ []byte) bool {
		if last == nil || len(current) != len(last) || len(last) > 0 && &current[0] != &last[0] {
			last, same = current, service.Redundant(current, value)
		}
		return same
	}
}

func (s *Server) remove(ctx context.Context, name string, t terms) (Receipt, error) {
	if err := service.CheckName(name); err != nil {
		return Receipt{}, err
	}
	if err := s.keepLocal(name); err != nil {
		return Receipt{}, err
	}
	c := events.Change{
		Key: service.Key(name), Delete: true,
		Actor: t.who.actor, Origin: t.who.origin, TraceParent: t.who.trace, IfMatch: t.cond.stamp,
	}
	r, err := s.publish(ctx, c)
	if err != nil {
		return r, err
	}
	if err := s.forgetOverlay(ctx, name, t.who); err != nil {
		s.log.Warn().Err(err).Str("service", name).Msg("the overlay of a removed service stays, without effect")
	}
	return s.awaited(ctx, t.wait, r, c.Key)
}

func (s *Server) write(ctx context.Context, w waiting, c events.Change) (Receipt, error) {
	r, err := s.publish(ctx, c)
	if err != nil {
		return r, err
	}
	return s.awaited(ctx, w, r, c.Key)
}

// publish makes a change durable.
func (s *Server) publish(ctx context.Context, c events.Change) (Receipt, error) {
	got, err := s.cfg.Replica.Write(ctx, c)
	// Without an event id nothing of the change itself was sent.
	if errors.Is(err, events.ErrUnknownOutcome) && got.EventID != "" {
		p := newProblem(http.StatusGatewayTimeout, fmt.Sprintf("the log gave no answer in time, the change %s may be stored, now or later: ask GET /v1/events, or send it again, a repeat is harmless", got.EventID))
		p.Outcome, p.EventID = OutcomeUnknown, got.EventID
		return Receipt{}, p
	}
	if err != nil {
		return Receipt{}, err
	}
	return newReceipt(got), nil
}

// awaited waits as the caller wants.
func (s *Server) awaited(ctx context.Context, w waiting, r Receipt, key string) (Receipt, error) {
	if w.scope == events.WaitNone || r.unlogged() {
		return r, nil
	}
	return s.await(ctx, w, r, key)
}

// endWithServer calls cancel when the server stops, so that a caller who waits is answered
// before the connection is cut; the returned function ends that.
func (s *Server) endWithServer(cancel context.CancelFunc) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-s.stopping:
			cancel()
		case <-done:
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// await turns "durable" into "live", or tells where it is not.
func (s *Server) await(ctx context.Context, w waiting, r Receipt, key string) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	defer s.endWithServer(cancel)()
	res, err := s.cfg.Waiter.Wait(ctx, events.Wait{Scope: w.scope, StreamID: r.StreamID, Seq: r.Seq, Key: key})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		p := newProblem(http.StatusGatewayTimeout, fmt.Sprintf("the change is durable at sequence %d, but waiting for it failed: %v", r.Seq, err))
		p.Outcome, p.Receipt = OutcomeDurable, &r
		return r, p
	}
	if err != nil || !res.Live {
		return r, notLive(r, w.scope, res)
	}
	r.Live = string(w.scope)
	return r, nil
}

// resolves applies SKIP_ADDRESS_VALIDATION=false, which Docker Flow Proxy answers with 500.
func (s *Server) resolves(ctx context.Context, svc *service.Service) error {
	if s.cfg.Lookup == nil || len(svc.Destinations) == 0 || svc.Source != nil && svc.Source.Kind == service.DockerSource {
		return nil // a watcher tells the addresses of containers
	}
	host := svc.Host(&svc.Destinations[0])
	if err := s.cfg.Lookup(ctx, host); err != nil {
		p := badParam("outboundHostname", "the host "+host+" does not resolve", "start the service first, or set SKIP_ADDRESS_VALIDATION=true")
		p.dfpStatus = http.StatusInternalServerError
		return p
	}
	return nil
}
