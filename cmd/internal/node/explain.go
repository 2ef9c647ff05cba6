package node

import (
	"context"
	"errors"
	"fmt"

	"sluice/events"
	"sluice/events/api"
	"sluice/proxy"
)

// explainer shows to the API what requests meet.
type explainer struct {
	// why answers by what HAProxy serves now.
	why func(context.Context, proxy.Request) (proxy.Answer, error)
}

var _ api.Explainer = explainer{}

func (e explainer) Explain(ctx context.Context, p api.Probe) (api.Routing, error) {
	a, err := e.why(ctx, proxy.Request{Port: p.Port, TLS: p.TLS, Method: p.Method, Host: p.Host, Path: p.Path, Query: p.Query, Header: p.Header})
	if errors.Is(err, proxy.ErrNotReady) {
		err = fmt.Errorf("%w: %w", events.ErrNotReady, err)
	}
	if err != nil {
		return api.Routing{}, err
	}
	p.Port, p.TLS = a.Request.Port, a.Request.TLS
	return api.Routing{
		Request: p, Rule: rule(a.Rule), Doubts: rules(a.Doubts), Shadowed: rules(a.Shadowed),
		Status: a.Status, Location: a.Location, Reason: a.Reason, ErrorFile: a.ErrorFile,
		Notes: a.Notes, Version: a.Version, Value: a.Value,
	}, nil
}

func rule(r proxy.Rule) api.Rule {
	return api.Rule{
		Kind: string(r.Kind), Service: r.Service, Index: r.Index, Backend: r.Backend, Class: r.Class,
		Host: r.Host, Path: r.Path, Conditions: r.Conditions, Doubt: r.Doubt,
	}
}

func rules(list []proxy.Rule) []api.Rule {
	out := make([]api.Rule, len(list))
	for i := range list {
		out[i] = rule(list[i])
	}
	return out
}
