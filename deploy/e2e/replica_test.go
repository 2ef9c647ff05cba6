package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// replica is one `sluice run` with ports and directories of its own, which stay the same
// over restarts.
type replica struct {
	*process
	t    testing.TB
	name string
	dir  string
	// Ports: API, HTTP and HTTPS entry, NATS of an embedded log.
	api, http, https, nats int

	env  []string
	args []string
}

// newReplica prepares a replica; args are added to `sluice run`.
func newReplica(t testing.TB, name string, args ...string) *replica {
	t.Helper()
	r := &replica{
		t: t, name: name, dir: t.TempDir(), args: args,
		api: freePort(t), http: freePort(t), https: freePort(t), nats: freePort(t),
	}
	r.env = []string{fmt.Sprintf("DEFAULT_PORTS=%d,%d:ssl", r.http, r.https)}
	r.makeDirs(t)
	return r
}

func (r *replica) makeDirs(t testing.TB) {
	t.Helper()
	for _, d := range []string{"data", "cfg", "certs", "errorfiles", "secrets"} {
		if err := os.MkdirAll(filepath.Join(r.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// wipe empties the directories, as if the machine had been replaced.
func (r *replica) wipe(t testing.TB) {
	t.Helper()
	for _, d := range []string{"data", "cfg", "certs"} {
		if err := os.RemoveAll(filepath.Join(r.dir, d)); err != nil {
			t.Fatal(err)
		}
	}
	r.makeDirs(t)
}

// command is the whole command line. Later flags override earlier ones.
func (r *replica) command() []string {
	return append([]string{
		"run", "--name", r.name, "--api-addr", loopback(r.api), "--bind-addr", "127.0.0.1",
		"--data-dir", filepath.Join(r.dir, "data"), "--cfg-dir", filepath.Join(r.dir, "cfg"),
		"--certs-dir", filepath.Join(r.dir, "certs"), "--errorfiles-dir", filepath.Join(r.dir, "errorfiles"),
		"--secrets-dir", filepath.Join(r.dir, "secrets"), "--nats-listen", loopback(r.nats),
	}, r.args...)
}

func (r *replica) start(t testing.TB) *replica {
	t.Helper()
	r.process = startProcess(r.t, r.name, r.env, sluice, r.command()...)
	return r
}

// ready waits until the replica takes traffic.
func (r *replica) ready(t testing.TB, within time.Duration) *replica {
	t.Helper()
	eventually(t, within, r.name+" is ready", func() error {
		if !r.running() {
			return fmt.Errorf("it ended: %s", tail(r.output(), 5))
		}
		return expectStatus(get(t, r.url("/readyz")), http.StatusOK)
	})
	return r
}

func startReplica(t testing.TB, name string, args ...string) *replica {
	t.Helper()
	return newReplica(t, name, args...).start(t).ready(t, 2*patience)
}

func (r *replica) url(path string) string { return "http://" + loopback(r.api) + path }

// dfp calls an endpoint of Docker Flow Proxy's API. A change may take its time to be live: how long
// depends on what else the machine does.
func (r *replica) dfp(endpoint string, q url.Values) answer {
	query := q.Encode()
	if (endpoint == "reconfigure" || endpoint == "remove") && !q.Has("timeout") {
		query += "&timeout=" + patience.String()
	}
	return send(r.t.Context(), http.MethodGet, r.url("/v1/docker-flow-proxy/"+endpoint+"?"+query), "")
}

// demo is the query that routes /name to a backend on this machine.
func demo(name string, port int, more ...string) url.Values {
	q := url.Values{
		"serviceName": {name}, "servicePath": {"/" + name}, "port": {strconv.Itoa(port)}, "outboundHostname": {"127.0.0.1"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q
}

// reconfigure routes /name and expects the answer that it is live on this replica.
func (r *replica) reconfigure(t testing.TB, name string, port int, more ...string) {
	t.Helper()
	a := r.dfp("reconfigure", demo(name, port, more...))
	if err := expectStatus(a, http.StatusOK); err != nil {
		t.Fatalf("reconfigure %s on %s: %v", name, r.name, err)
	}
}

func (r *replica) remove(t testing.TB, name string) {
	t.Helper()
	mustStatus(t, r.dfp("remove", url.Values{"serviceName": {name}}), http.StatusOK)
}

// request sends a request through HAProxy.
func (r *replica) request(path string, headers ...string) answer {
	return send(r.t.Context(), http.MethodGet, "http://"+loopback(r.http)+path, "", headers...)
}

// routed is nil if path reaches the backend of that name through this replica.
func (r *replica) routed(path, backend string) error {
	a := r.request(path)
	if err := expectStatus(a, http.StatusOK); err != nil {
		return fmt.Errorf("%s through %s: %w", path, r.name, err)
	}
	var e echo
	if err := json.Unmarshal([]byte(a.Body), &e); err != nil {
		return fmt.Errorf("%s through %s: %w", path, r.name, err)
	}
	if e.Backend != backend {
		return fmt.Errorf("%s through %s reached %q, want %q", path, r.name, e.Backend, backend)
	}
	return nil
}

// status is one element of GET /v1/replicas, as far as the tests look at it.
type status struct {
	Node, Name, StreamID, Digest, ConfigDigest string

	Seq, LastSeq, Live, Generation, Pending uint64

	Ready      bool
	Stale      string
	Quarantine []struct{ Service, Version, Reason, Serving string }
}

// statuses are all replicas that this one has heard of, by name.
func (r *replica) statuses() (map[string]status, error) {
	a := send(context.Background(), http.MethodGet, r.url("/v1/replicas"), "")
	if err := expectStatus(a, http.StatusOK); err != nil {
		return nil, err
	}
	var list struct{ Replicas []status }
	if err := json.Unmarshal([]byte(a.Body), &list); err != nil {
		return nil, fmt.Errorf("decode %v: %w", a, err)
	}
	byName := map[string]status{}
	for _, s := range list.Replicas {
		byName[s.Name] = s
	}
	return byName, nil
}

// own is what the replica tells about itself.
func (r *replica) own() (status, error) {
	all, err := r.statuses()
	if err != nil {
		return status{}, err
	}
	s, ok := all[r.name]
	if !ok {
		return s, fmt.Errorf("%s does not list itself: %v", r.name, all)
	}
	return s, nil
}

// fresh is nil if the replica is ready, not stale and has folded the whole log.
func (r *replica) fresh() error {
	s, err := r.own()
	switch {
	case err != nil:
		return err
	case !s.Ready || s.Stale != "" || s.Seq != s.LastSeq || s.Live < s.Seq:
		return fmt.Errorf("%s: ready %v, stale %q, seq %d of %d, live %d", s.Name, s.Ready, s.Stale, s.Seq, s.LastSeq, s.Live)
	}
	return nil
}

// sameState is nil if all replicas are at one position with one digest.
func sameState(replicas ...*replica) error {
	var first status
	for i, r := range replicas {
		if err := r.fresh(); err != nil {
			return err
		}
		s, err := r.own()
		if err != nil {
			return err
		}
		if i == 0 {
			first = s
		}
		if s.Digest != first.Digest || s.Seq != first.Seq || s.StreamID != first.StreamID {
			return fmt.Errorf("%s is at %s/%d with digest %s, %s at %s/%d with %s",
				first.Name, first.StreamID, first.Seq, first.Digest, s.Name, s.StreamID, s.Seq, s.Digest)
		}
	}
	if first.Digest == "" {
		return errors.New("the digest is empty")
	}
	return nil
}
