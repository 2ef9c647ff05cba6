package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"sluice/crdt/service"
	"sluice/deploy/testport"
	"sluice/events/api/apitest"
	"sluice/events/swarm/dockertest"
)

// output takes what a command writes while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// background runs a command line until stop, which returns its exit code.
func background(t testing.TB, environ []string, args ...string) (log *output, stop func() int) {
	t.Helper()
	log = &output{}
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	p := program{version: "v1.2.3", environ: environ, in: strings.NewReader(""), out: log, err: log}
	go func() { code <- execute(ctx, &p, args) }()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-code
	})
	t.Cleanup(func() { stop() })
	return log, stop
}

func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func body(t testing.TB, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWatch: the first replica of the list is dead, Docker fails at first; neither ends it.
func TestWatch(t *testing.T) {
	b, docker := apitest.New(), dockertest.Start(t, false)
	docker.Run("web", "10.0.0.5", map[string]string{"my.notify": "true", "com.df.servicePath": "/web", "com.df.port": "80"})
	docker.Fault(func(string) int { return http.StatusInternalServerError })
	metrics := testport.FreeAddr(t)
	env := []string{"SLUICE_TOKEN=" + writeToken, "SLUICE_API=http://" + testport.FreeAddr(t) + "," + serve(t, b), "DF_DOCKER_HOST=" + docker.Host, "DF_NOTIFY_LABEL=my.notify", "DF_SERVICE_NAME_PREFIX=dc1"}
	log, stop := background(t, env, "watch", "--metrics-addr", metrics, "--docker-interval", "1s")
	within(t, "it says what it waits for", func() bool { return strings.Contains(log.String(), "cannot compare Docker and the state") })
	if status, text := health(t, metrics); status != http.StatusServiceUnavailable || !strings.Contains(text, "to its end yet: ") {
		t.Errorf("before the first look: %d %s", status, text)
	}
	docker.Fault(nil)
	within(t, "the route", func() bool { e, _ := b.Entry(service.Key("dc1_web")); return e.Live() })
	e, _ := b.Entry(service.Key("dc1_web"))
	if !strings.Contains(string(e.Value), `"outboundHostname":"web"`) {
		t.Errorf("a prefixed name resolves nowhere: %s", e.Value)
	}
	for _, want := range []string{"sluice_swarm_services 1\n", `sluice_swarm_writes_total{verb="announce"} 1`, "sluice_swarm_last_look_timestamp_seconds 1.", `sluice_swarm_looks_total{result="failed"}`} {
		within(t, "the metrics have "+want, func() bool { return strings.Contains(body(t, "http://"+metrics+"/metrics"), want) })
	}
	within(t, "it is healthy", func() bool {
		return sluice(t, []string{"SLUICE_METRICS_ADDR=" + metrics, env[1]}, "", "healthcheck").code == exitDone
	})
	if code := stop(); code != exitDone {
		t.Errorf("exit code %d: %s", code, log)
	}
}

// health is what GET /healthz answers.
func health(t testing.TB, addr string) (int, string) {
	t.Helper()
	res, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestWatchWithAWrongToken: it is not healthy, and says what to do.
func TestWatchWithAWrongToken(t *testing.T) {
	docker, metrics := dockertest.Start(t, false), testport.FreeAddr(t)
	env := []string{"SLUICE_TOKEN=wrong", "SLUICE_API=" + serve(t, apitest.New()), "DF_DOCKER_HOST=" + docker.Host, "SLUICE_METRICS_ADDR=" + metrics}
	log, stop := background(t, env, "watch")
	within(t, "the log says it", func() bool { return strings.Contains(log.String(), "--token-file, or put the token into SLUICE_TOKEN") })
	if status, text := health(t, metrics); status != http.StatusServiceUnavailable || !strings.Contains(text, "--token-file") {
		t.Errorf("%d %s", status, text)
	}
	if got := sluice(t, env, "", "healthcheck"); got.code != exitFailed || !strings.Contains(got.err, "--token-file") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	if code := stop(); code != exitDone {
		t.Errorf("exit code %d: %s", code, log)
	}
}

// TestWatchAnswersTheHealthcheckByDefault: with nothing but the replicas' name, one
// environment for both.
func TestWatchAnswersTheHealthcheckByDefault(t *testing.T) {
	docker := dockertest.Start(t, false)
	host, port, err := net.SplitHostPort(testport.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"IP=" + host, "PORT=" + port, "SLUICE_API=http://sluice.invalid:8080", "DF_DOCKER_HOST=" + docker.Host}
	log, stop := background(t, env, "watch")
	within(t, "it answers", func() bool {
		got := sluice(t, env, "", "healthcheck")
		return got.code == exitFailed && strings.Contains(got.err, "to its end yet")
	})
	if code := stop(); code != exitDone {
		t.Errorf("exit code %d: %s", code, log)
	}
	log, stop = background(t, append(env, "SLUICE_API=http://127.0.0.1:"+port), "watch")
	within(t, "it has started", func() bool { return strings.Contains(log.String(), "sluice watches") })
	if !strings.Contains(log.String(), `"metrics":""`) {
		t.Errorf("it takes the address of the replica beside it: %s", log)
	}
	if code := stop(); code != exitDone {
		t.Errorf("exit code %d: %s", code, log)
	}
}

func TestWatchSettings(t *testing.T) {
	got := sluice(t, nil, "", "watch", "--api", "ftp://x", "--docker-host", "nonsense", "--docker-interval", "1ms", "--notify-label", "", "--service-name-prefix", "a b", "--log-level", "loud", "--metrics-addr", "x")
	for _, want := range []string{"--api", "--docker-host", "--docker-interval", "SLUICE_NOTIFY_LABEL", "--service-name-prefix", "--log-level", "--metrics-addr (SLUICE_METRICS_ADDR)"} {
		if got.code != exitFailed || !strings.Contains(got.err, want) {
			t.Errorf("exit %d, no %s in %q", got.code, want, got.err)
		}
	}
	if lines := strings.Count(got.err, "\n"); lines != 7 {
		t.Errorf("%d lines, want one for each problem: %s", lines, got.err)
	}
	if help := sluice(t, nil, "", "watch", "--help"); help.code != exitDone || !strings.Contains(help.out, "docker service create") || !strings.Contains(help.out, "unix:///var/run/docker.sock") {
		t.Errorf("help: %d %s", help.code, help.out)
	}
}

// TestWatchSettingsOfAReplica: the same flags and variables, and no Docker unless one is named.
func TestWatchSettingsOfAReplica(t *testing.T) {
	for _, tt := range []struct {
		env  variables
		args []string
		want string
	}{
		{variables{}, nil, ""},
		{variables{"DF_DOCKER_HOST": "tcp://a:1"}, nil, "tcp://a:1"},
		{variables{"DF_DOCKER_HOST": "tcp://a:1", "SLUICE_DOCKER_HOST": "tcp://b:1"}, nil, "tcp://b:1"},
		{variables{"SLUICE_DOCKER_HOST": "tcp://b:1"}, []string{"--docker-host", "tcp://c:1"}, "tcp://c:1"},
	} {
		f, fs := newRunFlags(), pflag.NewFlagSet("run", pflag.ContinueOnError)
		f.register(fs)
		if err := fs.Parse(tt.args); err != nil {
			t.Fatal(err)
		}
		cfg := f.config(fs, tt.env)
		if err := cfg.Problems; err != nil || cfg.Docker.Host != tt.want {
			t.Errorf("%v %v: %q, %v", tt.env, tt.args, cfg.Docker.Host, err)
		}
	}
}

func TestEveryAddressOfANameIsAReplica(t *testing.T) {
	s, err := newReplicaSet("http://tasks.proxy:8080, https://edge.test/base,http://10.0.0.9", func() (string, error) { return "", nil })
	if err != nil {
		t.Fatal(err)
	}
	lookups := 0
	s.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		lookups++
		if host != "tasks.proxy" {
			return nil, fmt.Errorf("%s is looked up", host)
		}
		return []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("::ffff:10.0.0.2")}, nil
	}
	for range 2 {
		list, err := s.list(t.Context())
		if err != nil || len(list) != 4 || lookups != 1 {
			t.Errorf("%d replicas after %d lookups, %v", len(list), lookups, err)
		}
	}
}
