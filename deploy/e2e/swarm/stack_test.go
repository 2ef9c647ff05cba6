package swarm_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Names that deploy/stack.yml gives in the stack "sluice".
const (
	stackName = "sluice"
	proxy     = stackName + "_proxy"
	broker    = stackName + "_broker"
	watch     = stackName + "_watch"
	consul    = stackName + "_consul"
	network   = "proxy"
	control   = stackName + "_control"
	demo      = "go-demo"
	demoImage = "sluice-demo:latest"
	loadImage = "sluice-load:latest"
	hello     = "hello from go-demo"
)

// token is the one of the tests' own changes, watchToken the watcher's.
var token, watchToken = rand.Text(), rand.Text()

// tools is the container in which a client's commands are executed.
var tools string

func TestMain(m *testing.M) { os.Exit(deployAndRun(m)) }

// deployAndRun deploys the stack once for all tests: each of them leaves it with three healthy
// proxies, a broker and Consul.
func deployAndRun(m *testing.M) int {
	if os.Getenv("SLUICE_TEST_SWARM") == "" {
		fmt.Fprintln(os.Stderr, "no Swarm: run deploy/test.sh swarm, which starts one of its own")
		return 1
	}
	ctx := context.Background()
	since := time.Now()
	if err := errors.Join(deploy(ctx), awaitProxies(ctx)); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, logs(ctx, proxy, broker, consul, watch))
		return 1
	}
	fmt.Printf("deployed the stack in %v\n", time.Since(since).Round(time.Second))
	code := m.Run()
	if err := remove(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// secrets are what deploy/stack.yml asks for.
func secrets() map[string]string {
	return map[string]string{
		"sluice_tokens":      fmt.Sprintf("ci:%s\nwatch:%s\n", token, watchToken),
		"sluice_watch_token": watchToken,
		"sluice_nats_token":  rand.Text(),
		"sluice_cluster_key": rand.Text() + rand.Text(),
	}
}

// deploy follows the README, on this kernel's terms (override.yml).
func deploy(ctx context.Context) error {
	for name, text := range secrets() {
		if _, err := try(ctx, text, "secret", "create", name, "-"); err != nil {
			return err
		}
	}
	for name, value := range map[string]string{
		"HTTP_PORT": "0", "HTTPS_PORT": "0", "PUBLISH_MODE": "host", "CONSUL_IMAGE": "sluice-consul:latest",
		"DOCKER_SOCKET": strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://"),
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	_, err := try(ctx, "", "stack", "deploy", "-c", "../../stack.yml", "-c", "../../stack.consul.yml", "-c", "override.yml", stackName)
	if err != nil {
		return err
	}
	if _, err = try(ctx, "", "service", "create", "--detach", "--name", demo, "--network", network, "--endpoint-mode", "dnsrr", demoImage); err != nil {
		return err
	}
	if tools, err = try(ctx, "", "run", "-d", "--network", network, "-e", "LOAD_TOKEN="+token, loadImage, "wait"); err != nil {
		return err
	}
	_, err = try(ctx, "", "network", "connect", control, tools)
	return err
}

// awaitProxies spares every test its own wait for a stack that does not come up.
func awaitProxies(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := try(ctx, "", "ps", "-q", "--filter", "label=com.docker.swarm.service.name="+proxy, "--filter", "health=healthy")
		if len(lines(out)) == 3 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d of 3 proxies are healthy in time", len(lines(out))), err)
		case <-tick.C:
		}
	}
}

// remove takes everything away that deploy made; the daemon is its own and ends afterwards.
func remove(ctx context.Context) error {
	_, err1 := try(ctx, "", "rm", "-f", tools)
	_, err2 := try(ctx, "", "service", "rm", demo)
	_, err3 := try(ctx, "", "stack", "rm", stackName)
	return errors.Join(err1, err2, err3)
}

// ready waits for the stack as every test begins with it: three proxies with go-demo routed.
func ready(t *testing.T) {
	t.Helper()
	showLogs(t, proxy, broker, consul, watch)
	waitHealthy(t, broker, 1)
	waitHealthy(t, watch, 1)
	waitHealthy(t, proxy, 3)
	// Not distribute=true: it waits for a replica that a test before has killed, for a minute.
	change(t, routeTo(demo, "/demo"))
	eventually(t, patience, "three replicas with one state", func() error { return sameState(3) })
}
