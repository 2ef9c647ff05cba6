package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// island is a machine of its own on this one: a network namespace with one address.
type island struct {
	namespace, addr string
}

// archipelago is a network of such machines, which this one can always reach.
type archipelago struct {
	t       testing.TB
	subnet  int // of its own, since this machine may run two of these tests
	islands []island
}

func (a *archipelago) addr(n int) string { return fmt.Sprintf("10.213.%d.%d", a.subnet, n) }

// ip runs the ip command and expects that it works.
func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s (network namespaces need root)", strings.Join(args, " "), err, out)
	}
}

func startArchipelago(t testing.TB, n int) *archipelago {
	t.Helper()
	tag := fmt.Sprintf("%x", os.Getpid()&0xffff)
	a := &archipelago{t: t, subnet: os.Getpid() % 256}
	// In a namespace of its own, whatever firewall this machine has says nothing about it.
	sea := "sluice-" + tag
	addNamespace(t, sea)
	ip(t, "-n", sea, "link", "add", "sea", "type", "bridge")
	ip(t, "-n", sea, "link", "set", "sea", "up")
	here := "slh" + tag
	ip(t, "link", "add", here, "type", "veth", "peer", "name", "here", "netns", sea)
	t.Cleanup(func() { ip(t, "link", "del", here) })
	ip(t, "-n", sea, "link", "set", "here", "master", "sea", "up")
	ip(t, "addr", "add", a.addr(254)+"/24", "dev", here)
	ip(t, "link", "set", here, "up")
	for i := range n {
		one := island{namespace: fmt.Sprintf("sluice-%s-%d", tag, i), addr: a.addr(i + 1)}
		addNamespace(t, one.namespace)
		outer := fmt.Sprintf("island%d", i)
		ip(t, "-n", sea, "link", "add", outer, "type", "veth", "peer", "name", "shore", "netns", one.namespace)
		ip(t, "-n", sea, "link", "set", outer, "master", "sea", "up")
		ip(t, "-n", one.namespace, "addr", "add", one.addr+"/24", "dev", "shore")
		ip(t, "-n", one.namespace, "link", "set", "shore", "up")
		a.islands = append(a.islands, one)
	}
	return a
}

func addNamespace(t testing.TB, name string) {
	t.Helper()
	ip(t, "netns", "add", name)
	t.Cleanup(func() { ip(t, "netns", "del", name) })
	ip(t, "-n", name, "link", "set", "lo", "up")
}

// split parts the islands of left from all others; heal undoes it.
func (a *archipelago) split(left ...int) { a.routes("add", left) }
func (a *archipelago) heal(left ...int)  { a.routes("del", left) }

func (a *archipelago) routes(do string, left []int) {
	a.t.Helper()
	isLeft := map[int]bool{}
	for _, i := range left {
		isLeft[i] = true
	}
	for i, from := range a.islands {
		for k, to := range a.islands {
			if isLeft[i] != isLeft[k] {
				ip(a.t, "-n", from.namespace, "route", do, "blackhole", to.addr+"/32")
			}
		}
	}
}

// on starts a program on an island.
func (a *archipelago) on(i int, name string, env []string, args ...string) *process {
	return startProcess(a.t, name, env, "ip", append([]string{"netns", "exec", a.islands[i].namespace}, args...)...)
}

// islander is a replica on an island.
type islander struct {
	*process
	api, backend string
}

func (r islander) get(path string) answer { return send(r.t.Context(), http.MethodGet, r.api+path, "") }

// own is what the replica tells about itself.
func (r islander) own() (status, error) {
	a := r.get("/v1/replicas")
	if a.Err != nil {
		return status{}, a.Err
	}
	var list struct{ Replicas []status }
	if err := json.Unmarshal([]byte(a.Body), &list); err != nil {
		return status{}, fmt.Errorf("decode %v: %w", a, err)
	}
	for _, s := range list.Replicas {
		if s.Name == r.name {
			return s, nil
		}
	}
	return status{}, fmt.Errorf("%s does not list itself", r.name)
}

func (r islander) reconfigure(name, path string) {
	r.t.Helper()
	mustStatus(r.t, r.get("/v1/docker-flow-proxy/reconfigure?serviceName="+name+"&servicePath="+path+"&port=80&timeout=1m&outboundHostname="+r.backend), http.StatusOK)
}

// startIslanders runs the log on the first island and a replica on each of the others.
func startIslanders(t testing.TB, a *archipelago) []islander {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token, key := write("nats.token", strings.Repeat("n", 32)), write("cluster.key", strings.Repeat("k", 40))
	log := a.islands[0].addr + ":4222"
	a.on(0, "broker", nil, sluice, "broker", "--nats-listen", log, "--nats-token-file", token, "--data-dir", filepath.Join(dir, "log"))
	var peers []string
	for _, one := range a.islands[1:] {
		peers = append(peers, one.addr)
	}
	var all []islander
	for i := 1; i < len(a.islands); i++ {
		name, home := fmt.Sprintf("replica-%d", i), filepath.Join(dir, fmt.Sprint(i))
		api := a.islands[i].addr + ":8080"
		p := a.on(i, name, nil, sluice, "run", "--name", name, "--api-addr", api, "--insecure-api", "--nats-url", "nats://"+log, "--nats-token-file", token,
			"--cluster-key-file", key, "--peers", strings.Join(peers, ","), "--data-dir", filepath.Join(home, "data"), "--cfg-dir", filepath.Join(home, "cfg"),
			"--certs-dir", filepath.Join(home, "certs"), "--errorfiles-dir", filepath.Join(home, "errorfiles"), "--secrets-dir", filepath.Join(home, "secrets"))
		all = append(all, islander{p, "http://" + api, a.addr(254)})
	}
	for _, r := range all {
		eventually(t, time.Minute, r.name+" is ready", func() error { return expectStatus(r.get("/readyz"), http.StatusOK) })
	}
	return all
}

// oneState is nil if all hold one map at one position, and nothing is pending.
func oneState(all []islander) error {
	var first status
	for i, r := range all {
		s, err := r.own()
		switch {
		case err != nil:
			return err
		case s.Stale != "" || s.Pending != 0:
			return fmt.Errorf("%s: stale %q, %d pending", s.Name, s.Stale, s.Pending)
		case i == 0:
			first = s
		case s.Digest != first.Digest || s.Seq != first.Seq:
			return fmt.Errorf("%s: digest %s at %d, %s has %s at %d", s.Name, s.Digest, s.Seq, first.Name, first.Digest, first.Seq)
		}
	}
	return nil
}

// TestPartition: two groups that cannot reach each other go on, one of them without the log;
// once they can, all hold the same at once, and what competed is listed.
func TestPartition(t *testing.T) {
	a := startArchipelago(t, 5)
	all := startIslanders(t, a)
	all[0].reconfigure("old", "/old")
	eventually(t, patience, "one state", func() error { return oneState(all) })

	a.split(3, 4) // replicas 3 and 4, without the log
	for _, r := range all[2:] {
		eventually(t, patience, r.name+" is stale", func() error {
			if s, err := r.own(); err != nil || s.Stale == "" {
				return fmt.Errorf("%+v, %v", s, err)
			}
			return expectStatus(r.get("/readyz"), http.StatusOK)
		})
	}
	all[0].reconfigure("left", "/left")
	all[1].reconfigure("both", "/from-the-left")
	all[2].reconfigure("right", "/right")
	all[3].reconfigure("both", "/from-the-right") // the later one
	eventually(t, patience, "the right hears of each other", func() error {
		return expectStatus(all[2].get("/v1/services/both"), http.StatusOK)
	})
	mustStatus(t, all[0].get("/v1/services/right"), http.StatusNotFound)
	mustStatus(t, all[3].get("/v1/services/left"), http.StatusNotFound)

	a.heal(3, 4)
	eventually(t, 5*time.Second, "one state", func() error { return oneState(all) })
	for _, r := range all {
		for name, path := range map[string]string{"old": "/old", "left": "/left", "right": "/right", "both": "/from-the-right"} {
			if a := r.get("/v1/services/" + name); a.Status != http.StatusOK || !strings.Contains(a.Body, `"`+path+`"`) {
				t.Errorf("%s on %s: %v", name, r.name, a)
			}
		}
		conflicts := r.get("/v1/events?conflicts=true").Body
		if strings.Count(conflicts, `"conflict":`) != 1 || !strings.Contains(conflicts, `"service/both"`) {
			t.Errorf("conflicts on %s:\n%s", r.name, conflicts)
		}
	}
}
