package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events/api"
	"sluice/events/api/apitest"
)

// BenchmarkReconfigure lets 50 HTTP clients and 50 bare publishers take turns at one log, since
// a disk is not equally fast at all times. A change of a client counts once it is durable and
// folded; HAProxy has no part in it. "share" is the clients' rate in the publishers'.
func BenchmarkReconfigure(b *testing.B) {
	const clients, turn = 50, 250
	real := startReal(b)
	base := serve(b, apitest.New(), func(c *api.Config) { c.Replica = real })
	js, err := jetstream.New(real.conn.NATS())
	if err != nil {
		b.Fatal(err)
	}
	bare := func(i int) error {
		_, err := js.Publish(b.Context(), fmt.Sprintf("sluice.test.events.service.bare-%d", i%1000), make([]byte, 500))
		return err
	}
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
	var written, published time.Duration
	b.ResetTimer()
	for from := 1; from <= b.N; from += turn {
		to := min(b.N, from+turn-1)
		published += apitest.AtOnce(b, clients, from, to, bare)
		written += apitest.AtOnce(b, clients, from, to, reconfigure)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/published.Seconds(), "bare/s")
	b.ReportMetric(float64(b.N)/written.Seconds(), "changes/s")
	b.ReportMetric(published.Seconds()/written.Seconds(), "share")
}
