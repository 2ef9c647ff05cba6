package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"time"
)

// openSockets is a replica with WebSockets through it.
type openSockets struct {
	*replica
	sockets []*webSocket
	port    int // of a backend for others
}

func openWebSockets(t testing.TB, n int) *openSockets {
	t.Helper()
	o := &openSockets{replica: startReplica(t, "local"), port: startBackend(t, "one")}
	o.reconfigure(t, "ws", startWebSockets(t))
	for i := range n {
		w, err := dialWebSocket(t, loopback(o.http), "/ws")
		if err != nil {
			t.Fatalf("WebSocket %d: %v", i, err)
		}
		o.sockets = append(o.sockets, w)
	}
	if alive, err := o.alive("before"); alive != n {
		t.Fatalf("%d of %d WebSockets work: %v", alive, n, err)
	}
	return o
}

// alive counts the WebSockets that still echo.
func (o *openSockets) alive(when string) (alive int, err error) {
	for i, w := range o.sockets {
		if e := w.echo(fmt.Sprintf("%s %d", when, i)); e != nil {
			err = errors.Join(err, fmt.Errorf("WebSocket %d: %w", i, e))
			continue
		}
		alive++
	}
	return alive, err
}

// crowdedWait: loads are rare while old workers live, which the WebSockets keep.
const crowdedWait = "2m"

// changeOthers adds and removes services that have nothing to do with the WebSockets.
func (o *openSockets) changeOthers(t testing.TB, i int) {
	t.Helper()
	name := fmt.Sprintf("other-%d", i/2)
	if i%2 == 1 {
		mustStatus(t, o.dfp("remove", url.Values{"serviceName": {name}, "timeout": {crowdedWait}}), http.StatusOK)
		return
	}
	o.reconfigure(t, name, o.port, "timeout", crowdedWait)
	if err := o.routed("/"+name, "one"); err != nil {
		t.Error(err)
	}
}

// TestWebSocketsSurvive: connections that live long are cut neither by changes of other
// services nor by a load.
func TestWebSocketsSurvive(t *testing.T) {
	const n = 10
	o := openWebSockets(t, n)
	for _, c := range []struct {
		when string
		do   func()
	}{
		{"runtime changes", func() { changes(t, 4, 20*time.Millisecond, time.Hour, o.changeOthers) }},
		{"a load", func() { mustStatus(t, o.dfp("reload", url.Values{"recreate": {"true"}}), http.StatusOK) }},
	} {
		c.do()
		if alive, err := o.alive("after " + c.when); alive != n {
			t.Errorf("after %s %d of %d WebSockets work: %v", c.when, alive, n, err)
		}
	}
}

// TestCutWebSocketsAreNoticed: the test above can fail.
func TestCutWebSocketsAreNoticed(t *testing.T) {
	o := openWebSockets(t, 2)
	for _, pid := range o.descendants("haproxy") {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
	if alive, err := o.alive("after kill -9"); alive != 0 || err == nil {
		t.Errorf("without HAProxy %d WebSockets work, error %v", alive, err)
	}
}
