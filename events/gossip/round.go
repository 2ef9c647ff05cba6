package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/sync/errgroup"

	"sluice/events"
)

const (
	// roundTimeout bounds a whole comparison; what was exchanged until then stays, and the next
	// one goes on from there.
	roundTimeout = 30 * time.Second
	// stateTimeout bounds the transfer of a whole state.
	stateTimeout = 2 * time.Minute
	// maxKeys bounds the keys of one question.
	maxKeys = 1000
	// maxPending bounds the keys that another replica may list in all, maxKey each in bytes.
	maxPending = 1 << 20
	maxKey     = 256
	// parallelReads is how many parts of a state are asked for at a time.
	parallelReads = 8
	// maxState bounds a whole state, and what is fetched in one round, in bytes.
	maxState = 1 << 30
)

// rounds compares now and then, and when it is asked to, until ctx ends.
func (x *Exchange) rounds(ctx context.Context) {
	timer := time.NewTimer(x.pause())
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-x.again:
		case <-timer.C:
		}
		failures = x.round(ctx, failures)
		timer.Reset(x.pause() << min(failures, 3))
	}
}

func (x *Exchange) pause() time.Duration {
	every := calmly
	if x.store.Hurry() {
		every = hurry
	}
	return every/2 + rand.N(every)
}

// round compares with one other replica, chosen at random. It returns how many rounds have
// failed in a row.
func (x *Exchange) round(ctx context.Context, failures int) int {
	peers := x.cfg.Peers()
	if len(peers) == 0 {
		return 0
	}
	node := peers[rand.N(len(peers))]
	if err := x.compareWith(ctx, node); err != nil {
		x.cfg.Log.Debug().Err(err).Str("node", node).Msg("could not compare with another replica")
		return failures + 1
	}
	return 0
}

// compareWith exchanges what either side lacks.
func (x *Exchange) compareWith(ctx context.Context, node string) error {
	where, err := x.exchange(ctx, node)
	if err == nil && x.store.Wants(where) {
		return x.fetchState(ctx, node)
	}
	return err
}

// exchange evens out the pending changes. It returns where the other is.
func (x *Exchange) exchange(ctx context.Context, node string) (events.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, x.within)
	defer cancel()
	theirs, where, err := x.marks(ctx, node)
	if err == nil && theirs != nil {
		err = x.even(ctx, node, theirs)
	}
	return where, err
}

// marks asks what the other holds; nil if that is the same as here. Each answer has to go on
// behind the one before: else a broken replica would be asked for ever.
func (x *Exchange) marks(ctx context.Context, node string) (map[string]mark, events.Position, error) {
	var theirs map[string]mark
	q := request{Op: opCompare, Name: x.cfg.Name, Position: newPosition(x.store.Position()), Digest: x.store.AcceptedDigest()}
	for {
		a, err := x.ask(ctx, node, q)
		if err != nil {
			return nil, events.Position{}, err
		}
		if q.After == "" {
			x.store.Compare(node, a.Position.value())
		}
		if a.Digest == q.Digest {
			return nil, a.Position.value(), nil
		}
		if theirs == nil {
			theirs = map[string]mark{}
		}
		for _, m := range a.Marks {
			if m.Key <= q.After || len(m.Key) > maxKey || len(theirs) >= maxPending {
				return nil, events.Position{}, fmt.Errorf("%w: %s lists %.60q behind %.60q, the %d. key", errMessage, node, m.Key, q.After, len(theirs)+1)
			}
			theirs[m.Key], q.After = m, m.Key
		}
		if !a.More || len(a.Marks) == 0 {
			return theirs, a.Position.value(), nil
		}
	}
}

// even fetches what the other has newer, and gives it what is newer here.
func (x *Exchange) even(ctx context.Context, node string, theirs map[string]mark) error {
	mine := x.store.Accepted()
	var push []events.Event
	here := make(map[string]events.Event, len(mine))
	for _, e := range mine {
		here[e.Subject] = e
		if m, ok := theirs[e.Subject]; !ok || m.older(e) {
			push = append(push, e)
		}
	}
	var want []string
	for key, m := range theirs {
		if e, ok := here[key]; !ok || m.newer(e) {
			want = append(want, key)
		}
	}
	slices.SortFunc(want, strings.Compare)
	return errors.Join(x.fetch(ctx, node, want), x.push(ctx, node, push))
}

// fetch asks for the events of keys, which are in order; so has to be what comes.
func (x *Exchange) fetch(ctx context.Context, node string, keys []string) error {
	for size := 0; len(keys) > 0; {
		n := min(len(keys), maxKeys)
		a, err := x.ask(ctx, node, request{Op: opFetch, Keys: keys[:n]})
		if err != nil {
			return err
		}
		if size += len(a.Events); size > maxState {
			return fmt.Errorf("%w: %s holds more than %d bytes of pending changes", errMessage, node, maxState)
		}
		list, err := events.DecodeEvents(a.Events)
		if err != nil {
			return err
		}
		rest, err := behind(keys[:n], list)
		if err != nil {
			return fmt.Errorf("%w from %s", err, node)
		}
		x.store.Admit(list)
		if a.More && len(list) > 0 { // a page was not enough
			n -= len(rest)
		}
		keys = keys[n:]
	}
	return nil
}

// behind are the keys behind that of the last event; an error if the events are not some of the
// keys in their order.
func behind(keys []string, list []events.Event) ([]string, error) {
	for _, e := range list {
		i, asked := slices.BinarySearch(keys, e.Subject)
		if !asked {
			return nil, fmt.Errorf("%w: %.60q, which was not asked for or comes twice,", errMessage, e.Subject)
		}
		keys = keys[i+1:]
	}
	return keys, nil
}

func (x *Exchange) push(ctx context.Context, node string, list []events.Event) error {
	for len(list) > 0 {
		data, n := page(list, x.skip)
		if list = list[n:]; len(data) == 0 {
			break
		}
		if _, err := x.ask(ctx, node, request{Op: opPush, Events: data}); err != nil {
			return err
		}
	}
	return nil
}

// fetchState takes over the whole state of another replica.
func (x *Exchange) fetchState(ctx context.Context, node string) error {
	t, err := x.stateOf(ctx, node)
	if err == nil {
		x.store.Adopt(t)
	}
	return err
}

// State asks the other replicas, in random order, and returns the state of the first whose
// position fits; false: nobody has one, or can be asked now.
func (x *Exchange) State(ctx context.Context, fits func(events.Position) bool) (events.Transfer, bool) {
	peers := slices.Clone(x.cfg.Peers())
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	for _, node := range peers {
		a, err := x.ask(ctx, node, request{Op: opCompare, Name: x.cfg.Name, Position: newPosition(x.store.Position()), Digest: x.store.AcceptedDigest()})
		if err == nil && !fits(a.Position.value()) {
			continue
		}
		var t events.Transfer
		if err == nil {
			t, err = x.stateOf(ctx, node)
		}
		if err == nil {
			return t, true
		}
		x.cfg.Log.Debug().Err(err).Str("node", node).Msg("could not get the state of another replica")
	}
	return events.Transfer{}, false
}

func (x *Exchange) stateOf(ctx context.Context, node string) (events.Transfer, error) {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	a, err := x.ask(ctx, node, request{Op: opState})
	switch {
	case err != nil:
		return events.Transfer{}, err
	case a.Busy:
		return events.Transfer{}, errors.New("the other replica hands out its state to others now")
	case a.Size <= 0 || a.Size > maxState:
		return events.Transfer{}, fmt.Errorf("%w: a state of %d bytes", errMessage, a.Size)
	}
	data, err := x.read(ctx, node, a)
	if err != nil {
		return events.Transfer{}, err
	}
	return events.DecodeTransfer(x.cfg.Subjects.Namespace, data)
}

// read asks for all parts of a state, several at a time.
func (x *Exchange) read(ctx context.Context, node string, a response) ([]byte, error) {
	data := make([]byte, a.Size)
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(parallelReads)
	for offset := 0; offset < len(data); offset += maxPage {
		g.Go(func() error {
			part, err := x.ask(reading, node, request{Op: opRead, ID: a.ID, Offset: offset})
			if err != nil {
				return err
			}
			if len(part.Data) != min(maxPage, len(data)-offset) {
				return fmt.Errorf("%w: a part of %d bytes", errMessage, len(part.Data))
			}
			copy(data[offset:], part.Data)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if _, err := x.ask(ctx, node, request{Op: opDone, ID: a.ID}); err != nil { // it forgets the transfer by itself
		x.cfg.Log.Debug().Err(err).Msg("end of a transfer not told")
	}
	return data, nil
}

func (x *Exchange) ask(ctx context.Context, node string, q request) (response, error) {
	data, err := cbor.Marshal(q)
	if err != nil {
		return response{}, fmt.Errorf("encode question: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := askOver(ctx, x.paths, x.subject(node), data)
	if err != nil {
		return response{}, fmt.Errorf("ask %s to %s: %w", node, q.Op, err)
	}
	var a response
	if err := unmarshal(m.Data, &a); err != nil {
		return response{}, err
	}
	if a.Error != "" {
		return response{}, fmt.Errorf("ask %s to %s: it says: %.300s", node, q.Op, a.Error)
	}
	return a, nil
}
