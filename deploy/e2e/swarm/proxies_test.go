package swarm_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestOneChangeReachesEveryReplica: one curl with distribute=true, and every replica routes it;
// Consul shows it to people.
func TestOneChangeReachesEveryReplica(t *testing.T) {
	ready(t)
	change(t, routeTo("once", "/once")+"&distribute=true")
	t.Run("every replica routes it", func(t *testing.T) {
		if err := routedByAll(3, "/once/hello"); err != nil {
			t.Error(err)
		}
		if err := routedByAll(3, "/demo/hello"); err != nil {
			t.Error(err)
		}
	})
	t.Run("Consul shows it", func(t *testing.T) {
		eventually(t, patience, "docker-flow/go-demo in Consul", func() error { return mirrored("/demo", "8080") })
	})
}

// mirrored is nil if Consul shows path and port of go-demo.
func mirrored(path, port string) error {
	body, err := get("http://consul:8500/v1/kv/docker-flow?recurse")
	if err != nil {
		return err
	}
	var pairs []struct{ Key, Value string }
	if err := json.Unmarshal([]byte(body), &pairs); err != nil {
		return err
	}
	want := map[string]string{"docker-flow/go-demo/path": path, "docker-flow/go-demo/port": port}
	for _, p := range pairs {
		if value, err := base64.StdEncoding.DecodeString(p.Value); err == nil && string(value) == want[p.Key] {
			delete(want, p.Key)
		}
	}
	if len(want) > 0 {
		return &missing{want, body}
	}
	return nil
}

type missing struct {
	want map[string]string
	in   string
}

func (m *missing) Error() string {
	var keys []string
	for k, v := range m.want {
		keys = append(keys, k+"="+v)
	}
	return "no " + strings.Join(keys, ", ") + " in " + m.in
}

// TestScaledToSix: new replicas have the same configuration as the old ones, and take no request
// before they have it.
func TestScaledToSix(t *testing.T) {
	ready(t)
	load := startLoad(t, "/demo/hello")
	old := containers(t, proxy)
	docker(t, "service", "scale", "--detach", proxy+"=6")
	early(t, old, 3)
	all := waitHealthy(t, proxy, 6)
	load.settle()
	load.stop()

	want := configuration(t, old[0])
	for _, part := range []string{"frontend services", "backend go-demo-be8080_0", "server go-demo go-demo:8080"} {
		if !strings.Contains(want, part) {
			t.Errorf("no %q in haproxy.cfg:\n%s", part, want)
		}
	}
	for _, c := range all {
		if got := configuration(t, c); got != want {
			t.Errorf("haproxy.cfg of %.12s:\n%s\nof %.12s:\n%s", c, got, old[0], want)
		}
	}
	load = startLoad(t, "/demo/hello")
	scale(t, proxy, 3)
	load.stop()
}

func configuration(t testing.TB, container string) string {
	t.Helper()
	return docker(t, "exec", container, "cat", "/cfg/haproxy.cfg")
}

// early asks n containers besides the old ones from the moment that they exist until they
// route: until then they must not answer at all.
func early(t *testing.T, old []string, n int) {
	t.Helper()
	seen := slices.Clone(old)
	var wg sync.WaitGroup
	eventually(t, patience, "new containers", func() error {
		for _, c := range containers(t, proxy) {
			if slices.Contains(seen, c) {
				continue
			}
			seen = append(seen, c)
			url := "http://" + address(t, c, network) + "/demo/hello"
			wg.Go(func() {
				if out, err := try(context.WithoutCancel(t.Context()), "", "exec", tools, "load", "first", url, hello); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		if len(seen) < len(old)+n {
			return &missing{nil, strings.Join(seen, " ")}
		}
		return nil
	})
	wg.Wait()
}

// TestUpdateLosesNoRequest: the proxies are replaced one after the other under load.
func TestUpdateLosesNoRequest(t *testing.T) {
	ready(t)
	before := containers(t, proxy)
	load := startLoad(t, "/demo/hello")
	load.settle()
	docker(t, "service", "update", "--force", proxy)
	after := waitHealthy(t, proxy, 3)
	load.settle()
	load.stop()
	for _, c := range after {
		if slices.Contains(before, c) {
			t.Errorf("%.12s was not replaced", c)
		}
	}
}

// TestRemovedProxyIsReplaced: Swarm's replacement of a container has the configuration of the
// one that is gone.
func TestRemovedProxyIsReplaced(t *testing.T) {
	ready(t)
	before := containers(t, proxy)
	want := configuration(t, before[0])
	docker(t, "rm", "-f", before[0])
	for _, c := range waitHealthy(t, proxy, 3) {
		if got := configuration(t, c); got != want {
			t.Errorf("haproxy.cfg of %.12s:\n%s\nwant\n%s", c, got, want)
		}
	}
	eventually(t, patience, "three replicas in the DNS", func() error { return routedByAll(3, "/demo/hello") })
}
