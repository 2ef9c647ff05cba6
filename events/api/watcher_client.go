package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"sluice/crdt/service"
)

// Announcement publishes a definition given as parameters, and what a watcher made it from.
// The client's origin has to be OriginSwarm.
func (c *Client) Announcement(ctx context.Context, params url.Values, src service.Source, o Options) (Changed, error) {
	text, err := json.Marshal(src)
	if err != nil {
		return Changed{}, fmt.Errorf("encode source: %w", err)
	}
	return c.change(ctx, call{method: http.MethodPut, path: servicePath(params.Get("serviceName")), query: o.query(),
		body: []byte(params.Encode()), contentType: "application/x-www-form-urlencoded",
		ifMatch: o.IfMatch, create: o.IfAbsent, source: string(text)})
}

// SetTasks replaces what is known of a service's tasks and leaves what people put over it.
// The client's origin has to be OriginSwarm.
func (c *Client) SetTasks(ctx context.Context, name string, tasks service.Tasks) (OverlayChanged, error) {
	var out OverlayChanged
	if err := service.CheckName(name); err != nil {
		return out, err
	}
	body, err := service.Overlay{Tasks: tasks}.Canonical()
	if err != nil {
		return out, err
	}
	if body == nil {
		body = []byte(noOverlay)
	}
	err = c.json(ctx, call{method: http.MethodPut, path: overlayPath(name), body: body, contentType: "application/json"}, &out)
	return out, err
}
