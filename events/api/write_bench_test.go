package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/events/api"
	"sluice/events/api/apitest"
)

// BenchmarkReconfigure measures changes from 50 HTTP clients until they are durable in a real
// NATS and folded; HAProxy has no part in it.
func BenchmarkReconfigure(b *testing.B) {
	const clients = 50
	real := startReal(b)
	base := serve(b, apitest.New(), func(c *api.Config) { c.Replica = real })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	reconfigure := func(i int) error {
		url := fmt.Sprintf("%s%sreconfigure?serviceName=go-demo-%d&servicePath=/demo-%d&port=%d&wait=none", base, dfp, i%1000, i, 1024+i%10000)
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"OK"`)) {
			err = fmt.Errorf("%d %s", resp.StatusCode, body)
		}
		return err
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if err := reconfigure(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	b.StopTimer()
}
