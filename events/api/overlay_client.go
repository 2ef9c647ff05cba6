package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"sluice/crdt/service"
)

// attempts bounds how often a change of an overlay begins anew because somebody else was faster.
const attempts = 5

// Overlay is what is in force over a service, with its stamp, "" if nothing is; a *Problem
// with status 404 if there is no service of that name.
func (c *Client) Overlay(ctx context.Context, name string) (service.Overlay, string, error) {
	if err := service.CheckName(name); err != nil {
		return service.Overlay{}, "", err
	}
	res, err := c.do(ctx, call{method: http.MethodGet, path: overlayPath(name)}, "application/json")
	if err != nil {
		return service.Overlay{}, "", err
	}
	defer res.Body.Close()
	var text json.RawMessage
	if err := json.NewDecoder(res.Body).Decode(&text); err != nil {
		return service.Overlay{}, "", fmt.Errorf("read overlay of %s: %w", name, err)
	}
	o, err := service.DecodeOverlay(text)
	if err != nil {
		return service.Overlay{}, "", fmt.Errorf("read overlay of %s: %w", name, err)
	}
	return o, strings.Trim(res.Header.Get("ETag"), `"`), nil
}

// ChangeOverlay changes what is in force over a service, and loses no change that somebody
// else makes at the same time. Options.IfMatch is the stamp that the overlay must have.
func (c *Client) ChangeOverlay(ctx context.Context, name string, o Options, change func(*service.Overlay)) (OverlayChanged, error) {
	for attempt := 1; ; attempt++ {
		changed, err := c.changeOverlay(ctx, name, o, change)
		var p *Problem
		if attempt == attempts || o.IfMatch != "" || !errors.As(err, &p) || p.Status != http.StatusPreconditionFailed {
			return changed, err
		}
	}
}

func (c *Client) changeOverlay(ctx context.Context, name string, o Options, change func(*service.Overlay)) (OverlayChanged, error) {
	var out OverlayChanged
	now, stamp, err := c.Overlay(ctx, name)
	if err != nil {
		return out, err
	}
	before, err := now.Canonical()
	if err != nil {
		return out, err
	}
	change(&now)
	text, err := now.Canonical()
	if err != nil {
		return out, err
	}
	req := call{method: http.MethodPut, path: overlayPath(name), query: o.query(), body: text, contentType: "application/json", ifMatch: o.IfMatch}
	if text == nil {
		req.method = http.MethodDelete
	}
	if o.IfMatch == "" && string(text) != string(before) {
		req.ifMatch, req.create = stamp, stamp == ""
	}
	err = c.json(ctx, req, &out)
	return out, err
}

func overlayPath(name string) string { return servicePath(name) + "/overlay" }
