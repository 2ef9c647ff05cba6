package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// routeName is the name of the i-th of the services that fill a replica; /name is its
// path. Names have one length, so that none is the beginning of another.
func routeName(i int) string { return fmt.Sprintf("r%05d", i) }

// ackLimit bounds how long the log may take for one event.
const ackLimit = 60 * time.Second

// fill puts n plain services into the replica's log, as raw events of an ordinary NATS
// client, and waits until all are live. It returns how long both took.
func fill(t testing.TB, r *replica, n, port int) time.Duration {
	t.Helper()
	since := time.Now()
	js, err := jetstream.New(connect(t, r.logURL()), jetstream.WithPublishAsyncMaxPending(256), jetstream.WithPublishAsyncTimeout(ackLimit))
	if err != nil {
		t.Fatal(err)
	}
	template := definitionIn(t, js, r, port)
	acks := make([]jetstream.PubAckFuture, n)
	for i := range acks {
		subject, data := rawPut(t, routeName(i), strings.ReplaceAll(template, patternName, routeName(i)))
		if acks[i], err = js.PublishAsync(subject, data, jetstream.WithStallWait(ackLimit)); err != nil {
			t.Fatal(err)
		}
	}
	var last uint64
	for i, ack := range acks {
		select {
		case stored := <-ack.Ok():
			last = max(last, stored.Sequence)
		case err := <-ack.Err():
			t.Fatalf("publish %s: %v", routeName(i), err)
		case <-time.After(2 * ackLimit):
			t.Fatalf("publish %s: no answer", routeName(i))
		}
	}
	eventually(t, 5*time.Minute, fmt.Sprintf("%d services are live", n), func() error { return r.reached(last) })
	if err := r.answers(routeName(n - 1)); err != nil {
		t.Fatal(err)
	}
	return time.Since(since)
}

// reached is nil once the replica serves the log's state at a sequence.
func (r *replica) reached(seq uint64) error {
	s, err := r.own()
	if err == nil && s.Live < seq {
		err = fmt.Errorf("live up to %d of %d", s.Live, seq)
	}
	return err
}

// logURL is the address of the embedded NATS.
func (r *replica) logURL() string { return "nats://" + loopback(r.nats) }

// answers is nil if /name is routed to somebody who answers 200.
func (r *replica) answers(name string) error {
	w := wire{addr: loopback(r.http)}
	defer w.close()
	got, err := w.do(r.t.Context(), rawRequest("/"+name+"/x", ""))
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return fmt.Errorf("/%s: status %d", name, got.status)
	}
	return nil
}

// patternName is a service whose definition is copied.
const patternName = "pattern-of-all"

// definitionIn asks the replica for a service and returns the definition that it wrote
// into the log, whatever its format is.
func definitionIn(t testing.TB, js jetstream.JetStream, r *replica, port int) string {
	t.Helper()
	mustStatus(t, r.dfp("reconfigure", demo(patternName, port, "wait", "none")), http.StatusOK)
	stream, err := js.Stream(t.Context(), streamName)
	if err != nil {
		t.Fatal(err)
	}
	messages := stored(t, stream, eventSubject(patternName))
	var e cloudEvent
	if err := json.Unmarshal(messages[len(messages)-1].Data(), &e); err != nil {
		t.Fatal(err)
	}
	mustStatus(t, r.dfp("remove", url.Values{"serviceName": {patternName}, "wait": {"none"}}), http.StatusOK)
	return string(e.Data)
}

func eventSubject(service string) string { return "sluice.docker-flow.events.service." + service }

// rawPut is an event without stamp.
func rawPut(t testing.TB, name, definition string) (subject string, data []byte) {
	t.Helper()
	data, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: "fill-" + name, Source: "e2e", Type: "sluice.service.put",
		Subject: "service/" + name, DataContentType: "application/json", Data: json.RawMessage(definition),
	})
	if err != nil {
		t.Fatal(err)
	}
	return eventSubject(name), data
}
