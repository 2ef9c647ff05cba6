package e2e_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events/swarm/dockertest"
)

// startContainer runs a backend on an address of its own and says that a compose project has it.
func startContainer(t testing.TB, docker *dockertest.Daemon, project, addr string, port int) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: echoing(t, project), ReadHeaderTimeout: time.Minute}}
	server.Start()
	t.Cleanup(server.Close)
	port = l.Addr().(*net.TCPAddr).Port
	label(docker, project, addr, port, "/"+project)
	return port
}

func label(docker *dockertest.Daemon, project, addr string, port int, path string) {
	docker.Container(project+"-web-1", addr, "Up 1 second", map[string]string{
		"com.docker.compose.project": project, "com.docker.compose.service": "web",
		"com.df.notify": "true", "com.df.servicePath": path, "com.df.port": strconv.Itoa(port),
	})
}

// history are the events of a service, one line each.
func (r *replica) history(t testing.TB, service string) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(mustStatus(t, get(t, r.url("/v1/events?service="+service)), http.StatusOK).Body), "\n")
}

// TestWatchers: two watchers of one host, whose compose projects call their services alike, write
// each change once; and what a person removed stays so for a watcher that starts after the log
// was lost, until labels change.
func TestWatchers(t *testing.T) {
	n, replicas := startThree(t)
	docker := dockertest.Start(t, true)
	var urls []string
	for _, r := range replicas {
		urls = append(urls, r.url(""))
	}
	watch := func(name string) *process {
		return startProcess(t, name, nil, sluice, "watch", "--docker-host", docker.Host, "--docker-interval", "1s", "--api", strings.Join(urls, ","))
	}
	watchers := []*process{watch("watch-1"), watch("watch-2")}
	port := startContainer(t, docker, "shop", "127.0.0.2", 0)
	startContainer(t, docker, "blog", "127.0.0.3", port)
	for _, project := range []string{"shop", "blog"} {
		routedByAll(t, replicas, "/"+project, project)
		if lines := replicas[0].history(t, project+"_web"); len(lines) != 1 {
			t.Errorf("%d events of %s: %s", len(lines), project, lines)
		}
	}

	replicas[0].remove(t, "shop_web")
	for _, w := range watchers {
		w.kill()
	}
	lose(t, n, replicas)
	watch("watch-3")
	startContainer(t, docker, "later", "127.0.0.4", port)
	routedByAll(t, replicas, "/later", "later") // so it has looked
	for _, r := range replicas {
		mustStatus(t, get(t, r.url("/v1/services/shop_web")), http.StatusNotFound)
	}
	if lines := replicas[1].history(t, "shop_web"); len(lines) != 1 || !strings.Contains(lines[0], `"seq":0`) || !strings.Contains(lines[0], `"removed"`) {
		t.Errorf("history without the log: %s", lines)
	}
	label(docker, "shop", "127.0.0.2", port, "/shop,/again")
	routedByAll(t, replicas, "/again", "shop")
}

// lose deletes the log and waits until the replicas have made another one.
func lose(t testing.TB, n *natsServer, replicas []*replica) {
	t.Helper()
	before, err := replicas[0].own()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(connect(t, n.url()))
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), streamName); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "another log with the same state", func() error {
		now, err := replicas[0].own()
		if err == nil && now.StreamID == before.StreamID {
			err = errors.New("it is the old one")
		}
		if err != nil {
			return err
		}
		return sameState(replicas...)
	})
}
