// Command demo is the backend behind the first curl lines of the README: one small web
// server on loopback that says hello. DEMO_PORT is its port, 8090 when unset.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("DEMO_PORT"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run serves on 127.0.0.1:port until ctx ends, then lets running requests finish for at
// most two seconds. An empty port means 8090.
func run(ctx context.Context, port string, out io.Writer) error {
	if port == "" {
		port = "8090"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("listen on DEMO_PORT %s: %w; choose another one: DEMO_PORT=8091", port, err)
	}
	fmt.Fprintf(out, "demo backend on http://%s\n", listener.Addr())

	server := &http.Server{Handler: http.HandlerFunc(hello), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err = server.Shutdown(grace)
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// hello answers every path; it repeats which one was asked for, so that a routed request
// can be told from a misrouted one.
func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "hello from go-demo, you asked for %q\n", r.URL.Path)
}
