package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

func TestEventsAsLines(t *testing.T) {
	base := serve(t, apitest.New(), nil)
	get(t, base+dfp+"reconfigure?"+goodQ)
	get(t, base+dfp+"reconfigure?serviceName=other&servicePath=/other&port=80")
	get(t, base+dfp+"remove?serviceName=go-demo")
	tests := []struct {
		query string
		want  []string
	}{
		{"", []string{"1 put service/go-demo", "2 put service/other", "3 removed service/go-demo"}},
		{"?after=2", []string{"3 removed service/go-demo"}},
		{"?service=other", []string{"2 put service/other"}},
		{"?after=99", nil},
	}
	for _, tt := range tests {
		got := get(t, base+"/v1/events"+tt.query)
		if kind := got.header.Get("Content-Type"); kind != "application/x-ndjson" || got.status != http.StatusOK {
			t.Errorf("%s: %d %s", tt.query, got.status, kind)
		}
		var seen []string
		for line := range strings.Lines(got.body) {
			var r events.Record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			seen = append(seen, string(rune('0'+r.Seq))+" "+r.Action+" "+r.Key)
		}
		if strings.Join(seen, "|") != strings.Join(tt.want, "|") {
			t.Errorf("%s: %v, want %v", tt.query, seen, tt.want)
		}
	}
	for query, param := range map[string]string{"?after=-1": "after", "?follow=perhaps": "follow", "?service=..%2Fx": "serviceName", "?after=%zz": "query"} {
		if got := get(t, base+"/v1/events"+query); got.status != http.StatusBadRequest || !strings.Contains(got.body, param) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

func TestEventsThatCannotBeRead(t *testing.T) {
	b := apitest.New()
	b.HistoryErr = events.ErrUnavailable
	base := serve(t, b, nil)
	if got := get(t, base+"/v1/events"); got.status != http.StatusServiceUnavailable {
		t.Errorf("nothing read: %d", got.status)
	}
	get(t, base+dfp+"reconfigure?"+goodQ)
	client, err := api.NewClient(api.ClientConfig{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	// What could be read arrives, for instance conflicts that are in no log, and then the reason.
	seen := 0
	err = client.Events(t.Context(), events.Query{}, func(events.Record) error { seen++; return nil })
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable || seen != 1 {
		t.Errorf("a list that was cut: %d events, then %v", seen, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil || !strings.Contains(string(body), "event: service.put") || !strings.Contains(string(body), "event: problem\ndata: {\"problem\":{\"title\"") {
		t.Errorf("server-sent events that were cut: %q, %v", body, err)
	}
}

func TestFollowingEvents(t *testing.T) {
	for accept, prefix := range map[string]string{"": `{"seq":1,`, "text/event-stream": "id: 1"} {
		b := apitest.New()
		base := serve(t, b, nil)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/events?follow=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		res, err := http.DefaultClient.Do(req) // answers before there is any event
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		get(t, base+dfp+"reconfigure?"+goodQ)
		line, err := bufio.NewReader(res.Body).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, prefix) {
			t.Errorf("accept %q: %q %v", accept, line, err)
		}
	}
}

func TestFollowingEndsWithTheServer(t *testing.T) {
	// net/http gives a connection that has not sent anything yet 5 s to do so.
	for tries := 1; ; tries++ { // the machine may stand still
		took := stopWhileFollowed(t)
		if took < 8*time.Second {
			return
		}
		if tries == 3 {
			t.Fatalf("stopping took %s", took)
		}
	}
}

// stopWhileFollowed is how long a server takes to stop that has a follower.
func stopWhileFollowed(t *testing.T) time.Duration {
	t.Helper()
	base, stop := run(t, config(apitest.New()))
	client, err := api.NewClient(api.ClientConfig{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- client.Events(t.Context(), events.Query{Follow: true}, func(events.Record) error { seen <- struct{}{}; return nil })
	}()
	get(t, base+dfp+"reconfigure?"+goodQ)
	within(t, seen)
	start := time.Now()
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	took := time.Since(start)
	if err := within(t, ended); err != nil {
		t.Errorf("the follower got %v, want a clean end", err)
	}
	return took
}

func TestAFollowerThatStopsAsking(t *testing.T) {
	base := serve(t, apitest.New(), nil)
	client, err := api.NewClient(api.ClientConfig{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	get(t, base+dfp+"reconfigure?"+goodQ)
	enough := errors.New("enough")
	if err := client.Events(t.Context(), events.Query{Follow: true}, func(events.Record) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// patience bounds every wait of the tests.
const patience = time.Minute

// within receives from c or fails after a deadline.
func within[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing happened in time")
		panic("unreachable")
	}
}

// stuck is a Waiter of replicas that never become live.
type stuck struct{ asked chan struct{} }

func (s stuck) Wait(ctx context.Context, _ events.Wait) (events.WaitResult, error) {
	close(s.asked)
	<-ctx.Done()
	return events.WaitResult{Missing: []string{"b"}}, nil
}

func TestWaitingCallersAreAnsweredWhenTheServerStops(t *testing.T) {
	cfg := config(apitest.New())
	waiter := stuck{make(chan struct{})}
	cfg.Waiter = waiter
	base, stop := run(t, cfg)
	answered := make(chan error, 1)
	go func() {
		res, err := http.Get(base + dfp + "reconfigure?wait=all&timeout=60s&" + goodQ)
		if err == nil {
			err = res.Body.Close()
		}
		answered <- err
	}()
	within(t, waiter.asked)
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := within(t, answered); err != nil {
		t.Errorf("the caller got %v, want an answer", err)
	}
}

// TestRemovalWithoutItsEvent: a service's history ends with the removal that the state knows,
// although its log does not have it any more.
func TestRemovalWithoutItsEvent(t *testing.T) {
	b := apitest.New()
	base := serve(t, b, nil)
	get(t, base+dfp+"reconfigure?"+goodQ)
	get(t, base+dfp+"remove?serviceName=go-demo")
	c := newClient(t, api.ClientConfig{Base: base})
	read := func(q events.Query) (all []events.Record) {
		t.Helper()
		if err := c.Events(t.Context(), q, func(r events.Record) error { all = append(all, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := read(events.Query{Key: "service/go-demo"}); len(all) != 2 {
		t.Fatalf("with the log: %+v", all)
	}
	b.LoseLog()
	e, _ := b.Entry("service/go-demo")
	all := read(events.Query{Key: "service/go-demo"})
	if len(all) != 1 || all[0].Action != "removed" || all[0].Seq != 0 || all[0].Actor != "" || all[0].Stamp != e.Stamp.String() || all[0].Time.UnixMilli() != int64(e.Stamp.Millis()) {
		t.Errorf("without: %+v", all)
	}
	for _, q := range []events.Query{{}, {Key: "service/go-demo", Kind: "overlay"}, {Key: "service/go-demo", After: 1}, {Key: "service/go-demo", Conflicts: true}, {Key: "service/unknown"}} {
		if all := read(q); len(all) != 0 {
			t.Errorf("%+v: %+v", q, all)
		}
	}
	get(t, base+dfp+"reconfigure?"+goodQ)
	if all := read(events.Query{Key: "service/go-demo"}); len(all) != 1 || all[0].Action != "put" {
		t.Errorf("made again: %+v", all)
	}
}
