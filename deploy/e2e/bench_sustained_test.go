package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	writers      = 50
	writeCount   = 10_000
	writeTime    = 10 * time.Second
	publishCount = 5_000
	publishTime  = 5 * time.Second
)

// BenchmarkSustained: how many changes a second one replica takes from 50 clients at once,
// next to a bare publisher on the same log, which does nothing but wait until its message
// is durable. Of every change it is checked afterwards that it was not lost.
func BenchmarkSustained(b *testing.B) {
	r := startReplica(b, "local")
	ports := startUpstream(b, "one", "two")
	fill(b, r, 10, ports[0])
	for b.Loop() {
		var bare []float64
		bare = append(bare, barePublisher(b, r))
		accepted := sustained(b, r, ports, "accepted", "none")
		bare = append(bare, barePublisher(b, r))
		live := sustained(b, r, ports, "live", "local")
		bare = append(bare, barePublisher(b, r))
		slices.Sort(bare)
		figures.remark("bare publisher on the same log, 50 at once", "%.0f/s (%.0f to %.0f)", bare[1], bare[0], bare[2])
		recordRate(b, "changes from 50 clients, each answered when durable", "accepted", accepted, bare[1])
		recordRate(b, "changes from 50 clients, each answered when live", "live", live, bare[1])
	}
}

func recordRate(b *testing.B, name, unit string, rate, bare float64) {
	b.Helper()
	b.ReportMetric(rate, unit+"/s")
	b.ReportMetric(rate/bare, unit+"-x-bare")
	figures.add(figure{
		name: name, value: fmt.Sprintf("%.0f/s, %.2f x bare publisher", rate, rate/bare),
		target: ">= 0.6 x bare publisher", met: rate/bare >= 0.6,
	})
}

// barePublisher publishes control messages that no fold looks into, of the size of a
// change and with a message id like one, and returns messages a second.
func barePublisher(b *testing.B, r *replica) float64 {
	b.Helper()
	js, err := jetstream.New(connect(b, r.logURL()))
	if err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte("x"), eventSize(b, js, r))
	run := strconv.FormatInt(time.Now().UnixNano(), 16)
	since := time.Now()
	done, err := inTurns(publishCount, publishTime, func(_, i int) error {
		_, err := js.Publish(b.Context(), "sluice.docker-flow.ctl.tick", data, jetstream.WithMsgID(fmt.Sprintf("%s-%d", run, i)))
		return err
	})
	took := time.Since(since)
	if err != nil {
		b.Fatal(err)
	}
	eventually(b, 30*time.Second, "the replica has read the messages", r.fresh)
	return float64(done) / took.Seconds()
}

// eventSize is that of a change in the log.
func eventSize(b *testing.B, js jetstream.JetStream, r *replica) int {
	b.Helper()
	r.reconfigure(b, "sample", 80)
	stream, err := js.Stream(b.Context(), streamName)
	if err != nil {
		b.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(b.Context(), eventSubject("sample"))
	if err != nil {
		b.Fatal(err)
	}
	return len(m.Data)
}

// inTurns lets all writers work until n turns or the time are over, and returns how many
// turns were done. work gets its writer and the number of the turn.
func inTurns(n int, limit time.Duration, work func(writer, i int) error) (int, error) {
	errs := make([]error, writers)
	var next, done atomic.Int64
	var wg sync.WaitGroup
	since := time.Now()
	for w := range writers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && time.Since(since) < limit; i = int(next.Add(1)) - 1 {
				if errs[w] = work(w, i); errs[w] != nil {
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return int(done.Load()), errors.Join(errs...)
}

// sustained changes services from all writers, half of the changes new ones and half of
// them changed ones, and returns changes a second until the last is answered, like the bare
// publisher's messages. When all are live is told beside.
func sustained(b *testing.B, r *replica, ports []int, prefix, wait string) float64 {
	b.Helper()
	wires := make([]wire, writers) // a client that costs next to nothing leaves the machine to what is measured
	for w := range wires {
		wires[w].addr = loopback(r.api)
		defer wires[w].close()
	}
	turns := make([]int, writers) // of each writer
	loads := r.generation(b)
	since := time.Now()
	done, err := inTurns(writeCount, writeTime, func(w, _ int) error {
		q := written(prefix, w, turns[w]).query(ports)
		q.Set("wait", wait)
		q.Set("timeout", changeLimit.String()) // too late is a figure, not an error
		turns[w]++
		got, err := wires[w].do(b.Context(), rawRequestTo(wires[w].addr, "/v1/docker-flow-proxy/reconfigure?"+q.Encode(), ""))
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("status %d: %.300s", got.status, got.body)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(since)
	eventually(b, time.Minute, "all changes are live", r.fresh)
	figures.remark("changes from 50 clients, "+prefix, "%d, %d loads among them, all live %s after the last answer",
		done, r.generation(b)-loads, (time.Since(since) - took).Round(time.Millisecond))
	noneLost(b, r, lastChanges(prefix, turns))
	return float64(done) / took.Seconds()
}
