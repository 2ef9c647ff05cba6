// Command demo is the backend behind the first curl lines of the README: one small web
// server on loopback that says hello. DEMO_PORT is its port, 8090 when unset; DEMO_ADDR, such
// as :8080, takes its place and may be another address.
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
	if err := run(ctx, address(os.Getenv("DEMO_ADDR"), os.Getenv("DEMO_PORT")), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// address is addr, else the port on 127.0.0.1, else 127.0.0.1:8090.
func address(addr, port string) string {
	switch {
	case addr != "":
		return addr
	case port == "":
		port = "8090"
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// run serves on addr until ctx ends, then lets running requests finish for at most two
// seconds.
func run(ctx context.Context, addr string, out io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another port: DEMO_PORT=8091", addr, err)
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
