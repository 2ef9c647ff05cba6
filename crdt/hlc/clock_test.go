package hlc_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/crdt/hlc"
)

func TestNextIsTheGreatestOfWallLastAndFloor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var now time.Time
		clock := hlc.New(func() time.Time { return now })
		var last uint64
		for range 20 {
			ms := rapid.Int64Range(-5, 100).Draw(t, "ms")
			now = time.UnixMilli(ms)
			floor := rapid.Uint64Range(0, 90<<16).Draw(t, "floor")
			got := clock.Next(floor)
			if want := max(uint64(max(ms, 0))<<16, last+1, floor); got != want {
				t.Fatalf("next(%d) at %d ms after %d: %d, want %d", floor, ms, last, got, want)
			}
			last = got
		}
	})
}

func TestNextIsUniqueAmongGoroutines(t *testing.T) {
	clock := hlc.New(func() time.Time { return time.UnixMilli(1) })
	const workers, each = 8, 500
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := make(map[uint64]bool)
	for range workers {
		wg.Go(func() {
			for range each {
				h := clock.Next(0)
				mu.Lock()
				seen[h] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != workers*each {
		t.Errorf("%d distinct readings, want %d", len(seen), workers*each)
	}
}

func TestNewNodeHasTheTopBit(t *testing.T) {
	got, err := hlc.NewNode(bytes.NewReader([]byte{0, 0, 0, 0, 0, 0, 1, 2}))
	if err != nil || got != 1<<63|0x102 {
		t.Errorf("node %x, %v", got, err)
	}
	a, errA := hlc.NewNode(rand.Reader)
	b, errB := hlc.NewNode(rand.Reader)
	if a == b || errA != nil || errB != nil {
		t.Errorf("two nodes %x and %x (%v, %v)", a, b, errA, errB)
	}
	if _, err := hlc.NewNode(bytes.NewReader([]byte{1})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short source: %v", err)
	}
}
