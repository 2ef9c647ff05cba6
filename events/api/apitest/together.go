package apitest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// AtOnce lets that many callers make the calls numbered from one to the other and returns
// how long it took. An error fails tb and ends its caller.
func AtOnce(tb testing.TB, callers, from, to int, call func(i int) error) time.Duration {
	tb.Helper()
	var next atomic.Int64
	next.Store(int64(from) - 1)
	var wg sync.WaitGroup
	began := time.Now()
	for range callers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= to; i = int(next.Add(1)) {
				if err := call(i); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
