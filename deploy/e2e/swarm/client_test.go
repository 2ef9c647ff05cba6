package swarm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// get asks a URL from within the network, and returns the body.
func get(url string) (string, error) {
	return try(context.Background(), "", "exec", tools, "load", "get", url)
}

const api = "http://proxy:8080"

// routeTo is what a user types, to be sent to any replica: path is routed to go-demo.
func routeTo(name, path string) string {
	url := api + "/v1/docker-flow-proxy/reconfigure?serviceName=" + name + "&servicePath=" + path + "&port=8080&timeout=1m"
	if name != demo {
		url += "&outboundHostname=" + demo
	}
	return url
}

// change sends a change and expects that it is done.
func change(t testing.TB, url string) {
	t.Helper()
	answer, err := get(url)
	if err != nil || !strings.Contains(answer, `"Status":"OK"`) {
		t.Fatalf("%s: %v: %s", url, err, answer)
	}
}

// answer is what one replica answered.
type answer struct {
	Address, Body, Error string
	Status               int
}

// askEach asks every replica that the DNS has.
func askEach(path string) ([]answer, error) {
	out, err := try(context.Background(), "", "exec", tools, "load", "each", "http://tasks.proxy"+path)
	if err != nil {
		return nil, err
	}
	var all []answer
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var a answer
		if err := d.Decode(&a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// routedByAll is nil if n replicas are in the DNS and each of them routes path to go-demo.
func routedByAll(n int, path string) error {
	all, err := askEach(path)
	if err != nil {
		return err
	}
	if len(all) != n {
		return fmt.Errorf("%d replicas in the DNS, want %d", len(all), n)
	}
	for _, a := range all {
		if a.Status != 200 || !strings.Contains(a.Body, hello) {
			return fmt.Errorf("%s through a replica: %+v", path, a)
		}
	}
	return nil
}

// status is one element of GET /v1/replicas, as far as the tests look at it.
type status struct {
	Name, StreamID, Digest, ConfigDigest, Stale string

	Seq, LastSeq, Live uint64
	Ready              bool
}

func statuses() ([]status, error) {
	body, err := get(api + "/v1/replicas")
	if err != nil {
		return nil, err
	}
	var list struct{ Replicas []status }
	err = json.Unmarshal([]byte(body), &list)
	return list.Replicas, err
}

// sameState is nil if n replicas are known, ready, at one position, with one state.
func sameState(n int) error {
	all, err := statuses()
	if err != nil {
		return err
	}
	if len(all) != n {
		return fmt.Errorf("%d replicas, want %d: %+v", len(all), n, all)
	}
	for _, s := range all {
		if !s.Ready || s.Stale != "" || s.Seq != s.LastSeq || s.Live != s.Seq || s.Digest != all[0].Digest || s.StreamID != all[0].StreamID {
			return fmt.Errorf("%+v\nbeside %+v", s, all[0])
		}
	}
	return nil
}

// stream is the log's identity.
func stream(t testing.TB) (id string) {
	t.Helper()
	eventually(t, patience, "the log's identity", func() error {
		all, err := statuses()
		if err == nil && len(all) == 0 {
			err = errors.New("no replicas")
		}
		if err == nil {
			id = all[0].StreamID
		}
		return err
	})
	return id
}

// load is a client that asks the proxies all the time.
type load struct {
	t         testing.TB
	container string
	least     int // requests
}

// result is what became of its requests.
type result struct {
	Sent, Failed int
	First        []string
}

// startLoad asks path, behind which go-demo is, about 200 times a second.
func startLoad(t testing.TB, path string) *load {
	t.Helper()
	l := &load{t: t, least: 100, container: docker(t, "run", "-d", "--network", network, loadImage, "run", "http://tasks.proxy"+path, hello)}
	t.Cleanup(func() { docker(t, "rm", "-f", l.container) })
	return l
}

// told is what the load has told last; nothing in its first second.
func (l *load) told() (r result) {
	l.t.Helper()
	text := docker(l.t, "logs", "--tail", "1", l.container)
	if err := json.Unmarshal([]byte(text), &r); err != nil && text != "" {
		l.t.Fatalf("%v: %s", err, text)
	}
	return r
}

// stop ends the load. Every request must have been answered as it should be.
func (l *load) stop() {
	l.t.Helper()
	l.atLeast(l.least)
	docker(l.t, "kill", "-s", "TERM", l.container)
	docker(l.t, "wait", l.container)
	r := l.told()
	l.t.Logf("%d of %d requests failed", r.Failed, r.Sent)
	if r.Failed > 0 || r.Sent < l.least {
		l.t.Errorf("%d of %d requests failed:\n%s", r.Failed, r.Sent, strings.Join(r.First, "\n"))
	}
}

// atLeast waits until n requests were sent.
func (l *load) atLeast(n int) {
	l.t.Helper()
	l.least = n
	eventually(l.t, patience, fmt.Sprintf("%d requests", n), func() error {
		if sent := l.told().Sent; sent < n {
			return fmt.Errorf("only %d", sent)
		}
		return nil
	})
}

// settle lets the load meet what has just been reached.
func (l *load) settle() {
	l.t.Helper()
	since := time.Now()
	eventually(l.t, patience, "more load", func() error {
		if time.Since(since) < 2*time.Second {
			return fmt.Errorf("only %v", time.Since(since))
		}
		return nil
	})
}
