package gossip

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/rs/zerolog"

	"sluice/events"
)

const (
	// calmly is how often another replica is asked while all is well, hurry while this one
	// follows no log or holds what is not in it; both half as much more or less at random.
	calmly = 30 * time.Second
	hurry  = 2 * time.Second
	// askTimeout bounds one question.
	askTimeout = 2 * time.Second
	kindDelta  = "delta"
)

// Pending is a replica's layer of pending changes, as others may see and change it.
type Pending interface {
	Accepted() []events.Event
	AcceptedDigest() uint64
	Admit([]events.Event)
}

// States is a replica's state, as a whole.
type States interface {
	Position() events.Position
	// Compare looks at where another replica is.
	Compare(name string, p events.Position)
	Wants(p events.Position) bool
	Export() (events.Transfer, bool)
	Adopt(t events.Transfer) bool
}

// Store is the replica that takes part in the exchange.
type Store interface {
	Pending
	States
	// Hurry: others may have what this replica lacks, or the other way round.
	Hurry() bool
}

// ExchangeConfig says who takes part, and where.
type ExchangeConfig struct {
	// Ways connect to the other replicas, those to prefer first.
	Ways     []Way
	Subjects events.Subjects
	// Node is this process's identity in hex, Name the shown name.
	Node, Name string
	// Peers lists the identities of the other replicas that are there.
	Peers func() []string
	Store Store
	Log   zerolog.Logger
}

// Exchange keeps what replicas have not got from the log the same: pending changes, told to
// all at once and compared with one of the others again and again, and the state itself
// where the log cannot give it. Nothing here is lost for ever by a lost message.
type Exchange struct {
	cfg    ExchangeConfig
	paths  []*path
	store  Store
	states states
	again  chan struct{} // asks for a round now
	within time.Duration // bounds a round: roundTimeout
	// skipped are the stamps of changes that cannot be told.
	skipped sync.Map
}

// NewExchange checks the settings; Run does the rest.
func NewExchange(cfg ExchangeConfig) (*Exchange, error) {
	if err := cfg.Subjects.Validate(); err != nil {
		return nil, fmt.Errorf("configure exchange: %w", err)
	}
	return &Exchange{
		cfg: cfg, paths: newPaths(cfg.Ways), store: cfg.Store, again: make(chan struct{}, 1), within: roundTimeout,
		states: newStates(cfg.Subjects.Namespace),
	}, nil
}

// Broadcast tells all other replicas of accepted pending changes; who misses it learns of them
// by comparing. It does not wait.
func (x *Exchange) Broadcast(list []events.Event) {
	for len(list) > 0 {
		data, n := page(list, x.skip)
		if list = list[n:]; len(data) == 0 {
			return
		}
		if err := tellOver(context.Background(), x.paths, x.cfg.Subjects.Peer(kindDelta), data); err != nil {
			x.cfg.Log.Debug().Err(err).Msg("pending changes not sent")
			return
		}
	}
}

// skip tells once of a change that no message can hold.
func (x *Exchange) skip(e events.Event, why error) {
	if _, told := x.skipped.LoadOrStore(e.Stamp, true); !told {
		x.cfg.Log.Error().Err(why).Str("key", e.Subject).Stringer("stamp", e.Stamp).Msg("a pending change cannot be told to other replicas")
	}
}

// Soon asks for a round now, for instance when a replica is heard of for the first time.
func (x *Exchange) Soon() {
	select {
	case x.again <- struct{}{}:
	default:
	}
}

// Run takes part until ctx ends. Connections that are down are waited for.
func (x *Exchange) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { x.states.run(ctx) })
	msgs := make(chan *nats.Msg, window)
	for _, w := range x.cfg.Ways {
		sub, err := w.NATS.ChanSubscribe(x.cfg.Subjects.Peer(kindDelta), msgs)
		if err != nil {
			return fmt.Errorf("subscribe to pending changes over the %s: %w", w.Name, err)
		}
		defer sub.Unsubscribe() // fails only if the connection is gone already
		service, err := x.listen(w)
		if err != nil {
			return err
		}
		defer service.Stop() // likewise
	}
	wg.Go(func() { x.rounds(ctx) }) // one at a time, however long it takes: what is told is taken meanwhile
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-msgs:
			if err := x.admit(m.Data); err != nil {
				x.cfg.Log.Debug().Err(err).Msg("ignored a message")
			}
		}
	}
}

// listen answers other replicas, as a service that NATS's own tools list (nats micro ls).
func (x *Exchange) listen(w Way) (micro.Service, error) {
	service, err := micro.AddService(w.NATS, micro.Config{
		Name: "sluice-replica", Version: "1.0.0", Description: "exchange between the replicas of " + x.cfg.Subjects.Namespace,
		Metadata: map[string]string{"name": x.cfg.Name, "node": x.cfg.Node, "namespace": x.cfg.Subjects.Namespace},
	})
	if err != nil {
		return nil, fmt.Errorf("answer other replicas over the %s: %w", w.Name, err)
	}
	err = service.AddEndpoint("exchange", micro.HandlerFunc(x.answer), micro.WithEndpointSubject(x.subject(x.cfg.Node)))
	if err != nil {
		_ = service.Stop()
		return nil, fmt.Errorf("answer other replicas over the %s: %w", w.Name, err)
	}
	return service, nil
}

func (x *Exchange) subject(node string) string { return x.cfg.Subjects.Peer("exchange." + node) }

func (x *Exchange) answer(m micro.Request) {
	var q request
	out := response{}
	if err := unmarshal(m.Data(), &q); err != nil {
		out.Error = err.Error()
	} else {
		out = x.serve(q)
	}
	data, err := cbor.Marshal(out)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil { // who asked asks again
		x.cfg.Log.Debug().Err(err).Msg("could not answer")
	}
}

func (x *Exchange) admit(data []byte) error {
	list, err := events.DecodeEvents(data)
	if err == nil {
		x.store.Admit(list)
	}
	return err
}
