package swarm_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const shop = "shop"

// createLabelled is what a user types to have a service routed below /name by its labels.
func createLabelled(t testing.TB, name string, replicas int, more ...string) {
	t.Helper()
	args := []string{"service", "create", "--detach", "--name", name, "--network", network, "--endpoint-mode", "dnsrr",
		"--replicas", fmt.Sprint(replicas), "--stop-grace-period", "20s",
		"--label", "com.df.notify=true", "--label", "com.df.servicePath=/" + name, "--label", "com.df.port=8080"}
	docker(t, append(append(args, more...), demoImage)...)
	t.Cleanup(func() { _, _ = try(context.Background(), "", "service", "rm", name) }) // gone already, if all went well
}

// running is when the first task of a service ran, by Docker.
func running(t testing.TB, name string) time.Time {
	t.Helper()
	var first time.Time
	for _, task := range lines(docker(t, "service", "ps", "-q", "--no-trunc", name)) {
		state, text, _ := strings.Cut(docker(t, "inspect", "--type", "task", "-f", "{{.Status.State}} {{json .Status.Timestamp}}", task), " ")
		at, err := time.Parse(time.RFC3339Nano, strings.Trim(text, `"`))
		if err != nil {
			t.Fatal(err)
		}
		if state == "running" && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// asked asks for /name/hello from before the service exists, and tells when it was routed.
func asked(t testing.TB, name string) (routed func() time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "docker", "exec", tools, "load", "until", "http://tasks.proxy/"+name+"/hello", hello)
	cmd.Stderr = t.Output()
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); err != nil { // from now on it asks, however long its start took
		t.Fatalf("%q, %v", line, err)
	}
	return func() time.Time {
		t.Helper()
		line, err := out.ReadString('\n')
		if err := errors.Join(err, cmd.Wait()); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
}

// goneFromAll is nil once no replica routes /name.
func goneFromAll(name string) error {
	all, err := askEach("/" + name + "/hello")
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.Status != 503 {
			return fmt.Errorf("/%s through a replica: %+v", name, a)
		}
	}
	return nil
}

// converge waits until Swarm says that a service is as asked.
func converge(t testing.TB, name string, n int) {
	t.Helper()
	eventually(t, patience, fmt.Sprintf("%d tasks of %s", n, name), func() error {
		if all := containers(t, name); len(all) != n {
			return fmt.Errorf("%d run", len(all))
		}
		return nil
	})
}

// TestLabels: a service is routed because of its labels, and loses no request while it is
// scaled and rolled, whichever order.
func TestLabels(t *testing.T) {
	ready(t)
	others := startLoad(t, "/demo/hello") // whatever happens to the one, another is not disturbed
	routed := asked(t, shop)
	createLabelled(t, shop, 2)
	at := routed()
	since := at.Sub(running(t, shop))
	t.Logf("routed %v after the first task ran", since.Round(time.Millisecond))
	if since > 2*time.Second {
		t.Errorf("routed only %v after the first task ran", since)
	}
	converge(t, shop, 2)
	eventually(t, 5*time.Second, "routed by all", func() error { return routedByAll(3, "/shop/hello") })

	load := startLoad(t, "/shop/hello")
	load.settle()
	for _, step := range []struct {
		name string
		n    int
		args []string
	}{
		{"scaled up", 4, []string{"scale", "--detach", shop + "=4"}},
		{"scaled down", 2, []string{"scale", "--detach", shop + "=2"}},
		{"rolled start-first", 2, []string{"update", "--update-order", "start-first", "--update-delay", "1s", "--env-add", "ROLL=1", shop}},
		{"rolled stop-first", 2, []string{"update", "--update-order", "stop-first", "--update-delay", "1s", "--env-add", "ROLL=2", shop}},
		{"a new path beside the old one", 2, []string{"update", "--label-add", "com.df.servicePath=/shop,/store", shop}},
	} {
		before := time.Now()
		docker(t, append([]string{"service"}, step.args...)...)
		converge(t, shop, step.n)
		load.settle()
		t.Logf("%s: %v", step.name, time.Since(before).Round(time.Second))
	}
	eventually(t, 5*time.Second, "the new path", func() error { return routedByAll(3, "/store/hello") })
	load.atLeast(5000)
	load.stop()

	docker(t, "service", "rm", shop)
	eventually(t, 5*time.Second, "gone", func() error { return goneFromAll(shop) })
	others.settle()
	others.stop()
}

// TestWatcherWasAway: what was removed and what was added meanwhile is noticed.
func TestWatcherWasAway(t *testing.T) {
	ready(t)
	createLabelled(t, "leaves", 1)
	eventually(t, patience, "routed by all", func() error { return routedByAll(3, "/leaves/hello") })
	scaleAway(t)
	docker(t, "service", "rm", "leaves")
	createLabelled(t, "comes", 1)
	converge(t, "comes", 1)
	eventually(t, patience, "the route stays while nobody watches", func() error {
		services, err := get(api + "/v1/services")
		if err == nil && (!strings.Contains(services, `"leaves"`) || strings.Contains(services, `"comes"`)) {
			err = errors.New(services)
		}
		return err
	})
	scale(t, watch, 1)
	eventually(t, 10*time.Second, "the added one is routed", func() error { return routedByAll(3, "/comes/hello") })
	eventually(t, 10*time.Second, "the removed one is not", func() error { return goneFromAll("leaves") })
	docker(t, "service", "rm", "comes")
	eventually(t, 5*time.Second, "gone", func() error { return goneFromAll("comes") })
}

// scaleAway stops the watcher.
func scaleAway(t testing.TB) {
	t.Helper()
	docker(t, "service", "scale", "--detach", watch+"=0")
	converge(t, watch, 0)
}

// TestLabelsAndTheAPI do not overwrite each other in turns.
func TestLabelsAndTheAPI(t *testing.T) {
	ready(t)
	createLabelled(t, "both", 1)
	eventually(t, patience, "routed by all", func() error { return routedByAll(3, "/both/hello") })
	change(t, api+"/v1/docker-flow-proxy/reconfigure?serviceName=both&servicePath=/mine&port=8080&timeout=1m")
	eventually(t, patience, "the API's path", func() error { return routedByAll(3, "/mine/hello") })
	docker(t, "service", "update", "--detach", "--label-add", "com.example.note=1", "both") // nothing of Sluice's
	createLabelled(t, "later", 1)
	eventually(t, patience, "the watcher has looked since", func() error { return routedByAll(3, "/later/hello") })
	docker(t, "service", "rm", "later")
	events, err := get(api + "/v1/events?service=both")
	if n := len(strings.Split(strings.TrimSpace(events), "\n")); err != nil || n != 2 {
		t.Errorf("%d events, %v, want the watcher's and the API's:\n%s", n, err, events)
	}
	if err := errors.Join(goneFromAll("both"), routedByAll(3, "/mine/hello")); err != nil {
		t.Error(err)
	}
	docker(t, "service", "update", "--detach", "--label-add", "com.df.servicePath=/ours", "both")
	eventually(t, patience, "changed labels win", func() error { return routedByAll(3, "/ours/hello") })
	docker(t, "service", "rm", "both")
	eventually(t, 5*time.Second, "gone", func() error { return goneFromAll("ours") })
}
