package crdt_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"sluice/crdt"
)

var sizes = []int{10_000, 100_000}

func filled(n int, hlc uint64) []crdt.Entry {
	list := make([]crdt.Entry, n)
	for i := range list {
		list[i] = crdt.Entry{
			Key:   fmt.Sprintf("service/name-%d", i),
			Stamp: crdt.Stamp{HLC: hlc, Node: 1 << 63},
			Value: bytes.Repeat([]byte{byte(i)}, 800),
		}
	}
	return list
}

func BenchmarkMerge(b *testing.B) {
	for _, n := range sizes {
		old, newer := filled(n, 1), filled(n, 2)
		base := mapOf(old)
		run := func(name string, list []crdt.Entry, start func() *crdt.Map) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				m := start()
				for i := 0; b.Loop(); i++ {
					if i%n == 0 {
						b.StopTimer()
						m = start()
						b.StartTimer()
					}
					m.Merge(list[i%n])
				}
			})
		}
		run("new", old, crdt.NewMap)
		run("newer", newer, base.Clone)
		run("duplicate", old, func() *crdt.Map { return base })
	}
}

func BenchmarkClone(b *testing.B) {
	for _, n := range sizes {
		m := mapOf(filled(n, 1))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				m.Clone()
			}
		})
	}
}

// BenchmarkMemory is what an entry costs beside its key and its value.
func BenchmarkMemory(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			list := filled(n, 1)
			for b.Loop() {
				before := heap()
				m := mapOf(list)
				b.ReportMetric(float64(heap()-before)/float64(n), "B/entry")
				runtime.KeepAlive(m)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func BenchmarkDigest(b *testing.B) {
	for _, n := range sizes {
		list := filled(n, 1)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				sum := uint64(0)
				for _, e := range list {
					sum += e.Fingerprint()
				}
			}
		})
	}
}
