package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/swarm"
)

// watchTimeout bounds one call of a watcher to the API.
const watchTimeout = 20 * time.Second

// WatchAPI shows replicas' API to a watcher. Clients gives those to try, in turn; the origin
// of each has to be api.OriginSwarm.
type WatchAPI struct {
	Clients func(ctx context.Context) ([]*api.Client, error)
}

var _ swarm.API = WatchAPI{}

// try calls the replicas in turn until one can answer.
func (a WatchAPI) try(ctx context.Context, do func(context.Context, *api.Client) error) error {
	clients, err := a.Clients(ctx)
	if err != nil {
		return err
	}
	for _, c := range clients {
		err = a.once(ctx, c, do)
		if err == nil || ctx.Err() != nil || !elsewhere(err) {
			break
		}
	}
	return watchError(err)
}

func (a WatchAPI) once(ctx context.Context, c *api.Client, do func(context.Context, *api.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	if err := c.Recognise(ctx); err != nil { // before it is shown the token
		return err
	}
	return do(ctx, c)
}

// elsewhere reports whether another replica may be able to: this one does not answer, says
// that it certainly did nothing, or is none. A change that a proxy in between has passed on
// all the same is conditional, so that a second one does no harm.
func elsewhere(err error) bool {
	var p *api.Problem
	return errors.Is(err, api.ErrUnreachable) || errors.Is(err, api.ErrForeign) ||
		errors.As(err, &p) && (p.Foreign() || p.Status == http.StatusServiceUnavailable)
}

// ErrToken says to a client of the API what to do about an answer 401.
var ErrToken = errors.New("the API wants an access token that it knows: name its file with --token-file, or put the token into SLUICE_TOKEN")

// watchError gives an answer the meaning that a watcher decides by.
func watchError(err error) error {
	var p *api.Problem
	var fields service.Errors
	switch {
	case errors.As(err, &fields):
		return fmt.Errorf("%w: %w", swarm.ErrRefused, err)
	case !errors.As(err, &p), p.Foreign():
		return err
	}
	switch p.Status {
	case http.StatusUnauthorized:
		return ErrToken
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", swarm.ErrRaced, err)
	case http.StatusBadRequest, http.StatusConflict, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %w", swarm.ErrRefused, err)
	}
	return err
}

// Services lists the state as a watcher looks at it.
func (a WatchAPI) Services(ctx context.Context) ([]swarm.Listed, error) {
	var list []swarm.Listed
	err := a.try(ctx, func(ctx context.Context, c *api.Client) error {
		items, err := c.Services(ctx)
		if err != nil {
			return err
		}
		list = make([]swarm.Listed, 0, len(items))
		for i := range items {
			list = append(list, listedOf(&items[i]))
		}
		return nil
	})
	return list, err
}

// listedOf leaves out what it cannot read: then it is somebody else's.
func listedOf(item *api.Item) swarm.Listed {
	l := swarm.Listed{Name: item.Name, Stamp: item.Stamp}
	var doc struct {
		Source   *service.Source `json:"source"`
		Replicas *int            `json:"replicas"`
	}
	if json.Unmarshal(item.Definition, &doc) == nil {
		l.Source, l.Replicas = doc.Source, doc.Replicas
	}
	if len(item.Overlay) > 0 {
		if o, err := service.DecodeOverlay(item.Overlay); err == nil {
			l.Tasks = o.Tasks
		}
	}
	return l
}

// History hands out the events of one service.
func (a WatchAPI) History(ctx context.Context, name string, handle func(events.Record) error) error {
	return a.try(ctx, func(ctx context.Context, c *api.Client) error {
		var records []events.Record
		err := c.Events(ctx, events.Query{Key: service.Key(name)}, func(r events.Record) error {
			records = append(records, r)
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range records { // not before one replica has told all of them
			if err := handle(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// Announce publishes a definition.
func (a WatchAPI) Announce(ctx context.Context, params url.Values, src service.Source, match string) (bool, error) {
	changed := false
	err := a.try(ctx, func(ctx context.Context, c *api.Client) error {
		got, err := c.Announcement(ctx, params, src, api.Options{Wait: events.WaitNone, IfMatch: match, IfAbsent: match == ""})
		changed = got.Receipt.Outcome != api.OutcomeUnchanged
		return err
	})
	return changed && err == nil, err
}

// Remove removes a service.
func (a WatchAPI) Remove(ctx context.Context, name, match string) error {
	return a.try(ctx, func(ctx context.Context, c *api.Client) error {
		_, err := c.Remove(ctx, name, api.Options{Wait: events.WaitNone, IfMatch: match})
		return err
	})
}

// SetTasks tells the tasks of a service.
func (a WatchAPI) SetTasks(ctx context.Context, name string, tasks service.Tasks) (bool, error) {
	changed := false
	err := a.try(ctx, func(ctx context.Context, c *api.Client) error {
		got, err := c.SetTasks(ctx, name, tasks)
		changed = got.Receipt.Outcome != api.OutcomeUnchanged
		return err
	})
	return changed && err == nil, err
}
