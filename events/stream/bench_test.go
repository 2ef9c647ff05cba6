package stream_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

// BenchmarkAppend is one durable message after the other, fsync included.
func BenchmarkAppend(b *testing.B) {
	log := startServer(b).log(b)
	open(b, log)
	data := make([]byte, 500)
	n := 0
	for b.Loop() {
		n++
		appendOne(b, log, events.Outgoing{Subject: key, ID: fmt.Sprint(n), Data: data})
	}
}

// BenchmarkFollow is the replay of stored messages; one operation is one message.
func BenchmarkFollow(b *testing.B) {
	s := startServer(b)
	s.stop()
	s.opts.SyncAlways = false
	s.start(b)
	log := s.log(b)
	open(b, log)
	js := s.js(b)
	const stored = 20_000
	data := make([]byte, 500)
	for range stored {
		if _, err := js.PublishAsync(key, data, jetstream.WithExpectStream(subjects.Stream())); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	b.ResetTimer()
	for left := b.N; left > 0; left -= stored {
		follow(b, log, 1, min(left, stored))
	}
}
