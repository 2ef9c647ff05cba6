package node

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/events"
	"sluice/events/api"
	"sluice/proxy"
)

func TestExplainerShowsTheProxysAnswer(t *testing.T) {
	proxyRule := proxy.Rule{
		Kind: proxy.KindSpecial, Service: "x", Index: 1, Backend: "x-be80_1", Class: "other", Host: "a.com", Path: "/x",
		Conditions: []string{"path_reg /x"}, Doubt: "why not",
	}
	e := explainer{func(_ context.Context, r proxy.Request) (proxy.Answer, error) {
		r.Port = 80
		return proxy.Answer{
			Request: r, Evaluation: proxy.Evaluation{Rule: proxyRule, Doubts: []proxy.Rule{proxyRule}, Shadowed: []proxy.Rule{proxyRule}},
			Outcome: proxy.Outcome{Status: 301, Location: "l", Reason: "r"}, ErrorFile: "f", Version: "v", Value: []byte("{}"), Notes: []string{"n"},
		}, nil
	}}
	got, err := e.Explain(t.Context(), api.Probe{Method: "GET", Host: "a.com", Path: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	rule := api.Rule{
		Kind: "special", Service: "x", Index: 1, Backend: "x-be80_1", Class: "other", Host: "a.com", Path: "/x",
		Conditions: []string{"path_reg /x"}, Doubt: "why not",
	}
	want := api.Routing{
		Request: api.Probe{Method: "GET", Port: 80, Host: "a.com", Path: "/x"},
		Rule:    rule, Doubts: []api.Rule{rule}, Shadowed: []api.Rule{rule},
		Status: 301, Location: "l", Reason: "r", ErrorFile: "f", Version: "v", Value: []byte("{}"), Notes: []string{"n"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExplainerIsNotReadyBeforeTheFirstLoad(t *testing.T) {
	e := explainer{func(context.Context, proxy.Request) (proxy.Answer, error) { return proxy.Answer{}, proxy.ErrNotReady }}
	if _, err := e.Explain(t.Context(), api.Probe{}); !errors.Is(err, events.ErrNotReady) {
		t.Errorf("got %v, want ErrNotReady", err)
	}
}
