package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sluice/events/api"
)

const setMetricsAddr = "--metrics-addr (SLUICE_METRICS_ADDR)"

func checkMetricsAddr(addr string) error {
	if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
		return fmt.Errorf("%s %.100q is not an address: write host:port, e.g. 127.0.0.1:8080", setMetricsAddr, addr)
	}
	return nil
}

func listenMetrics(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s %s cannot be listened on (%w): choose a free address", setMetricsAddr, addr, err)
	}
	return l, nil
}

// serveMetrics answers /metrics and /healthz until ctx ends.
func serveMetrics(ctx context.Context, l net.Listener, reg prometheus.Gatherer, healthy func() error) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := healthy(); err != nil {
			w.Header().Set("Content-Type", "application/problem+json") // so that the health check shows it
			w.WriteHeader(http.StatusServiceUnavailable)
			p := api.Problem{Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable, Detail: err.Error()}
			_ = json.NewEncoder(w).Encode(&p) // who asked may be gone
			return
		}
		fmt.Fprintln(w, `{"status":"alive"}`)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", setMetricsAddr, err)
	case <-ctx.Done():
	}
	err := srv.Close()
	<-served
	return err
}
