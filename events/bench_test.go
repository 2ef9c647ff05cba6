package events_test

import (
	"fmt"
	"testing"

	"sluice/crdt"
	"sluice/events"
)

var benchSizes = []int{10_000, 100_000}

// document resembles a service of about 800 bytes.
func document(i int) []byte {
	text := fmt.Sprintf(`{"serviceName":"service-%d","destinations":[`, i)
	for d := range 8 {
		text += fmt.Sprintf(`{"index":%d,"port":%d,"reqMode":"http","servicePath":["/service-%d/path-%d"],"x":"%x"},`, d, 8000+d, i, d, i*7919)
	}
	return []byte(text[:len(text)-1] + `]}`)
}

func benchMap(n int) *crdt.Map {
	m := crdt.NewMap()
	for i := range n {
		m.Merge(crdt.Entry{Key: fmt.Sprintf("service/service-%d", i), Stamp: at(1, 1), Value: document(i)})
	}
	return m
}

func BenchmarkFold(b *testing.B) {
	for _, n := range benchSizes {
		log := begun(b)
		messages := make([]events.Message, n)
		for i := range messages {
			e := crdt.Entry{Key: fmt.Sprintf("service/service-%d", i), Stamp: at(1, 1), Value: document(i)}
			data, err := events.EntryEvent("bench", e).Encode()
			if err != nil {
				b.Fatal(err)
			}
			messages[i] = events.Message{Time: log.messages[0].Time, Subject: names.Event(e.Key), Data: data}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m := messages[i%n]
				m.Seq = log.fold.Next()
				if _, err := log.fold.Step(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	for _, n := range benchSizes {
		s := snapshot(b, benchMap(n))
		data := encoded(b, s)
		b.Run(fmt.Sprintf("encode/%d", n), func(b *testing.B) {
			for b.Loop() {
				encoded(b, s)
			}
			b.ReportMetric(float64(len(data)), "bytes")
		})
		b.Run(fmt.Sprintf("decode and merge/%d", n), func(b *testing.B) {
			for b.Loop() {
				other, err := events.DecodeSnapshot(data)
				if err != nil {
					b.Fatal(err)
				}
				for e := range other.State.Map.All() {
					s.State.Map.Merge(e)
				}
			}
		})
		b.Run(fmt.Sprintf("decode/%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := events.DecodeSnapshot(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
