// Command load is the client of the Swarm tests, to be run in a container on the network of the
// proxies. It may use any replica, as a client behind round-robin DNS does: it resolves the name
// for each connection, takes any address, and never repeats a request.
//
//	load get URL                     one request: the body; exit 1 unless the status is 2xx
//	load each URL                    one request to every address of the host: a line of JSON each
//	load first URL WANT              asks until there is an answer; exit 1 unless that one is right
//	load until URL WANT              says that it asks, asks until an answer is right, and prints when that was
//	load run URL WANT                load until SIGTERM, its result so far as a line of JSON every second and at the end
//	load wait                        does nothing until SIGTERM: a container to execute the others in
//
// LOAD_TOKEN is an access token. WANT is what every answer must hold.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	// timeout bounds one request, with its connection.
	timeout = 10 * time.Second
	// patience is the same for a single one, which may be for a change that waits to be live.
	patience = 90 * time.Second
	// starting is how long a proxy or a service may take to come up.
	starting = 5 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "get":
		return get(ctx, args[1], out)
	case len(args) == 2 && args[0] == "each":
		return each(ctx, args[1], out)
	case len(args) == 3 && args[0] == "first":
		return first(ctx, args[1], args[2])
	case len(args) == 3 && args[0] == "until":
		return until(ctx, args[1], args[2], out)
	case len(args) == 3 && args[0] == "run":
		return run(ctx, args[1], args[2], out)
	case len(args) == 1 && args[0] == "wait":
		<-ctx.Done()
		return nil
	}
	return errors.New("usage: get URL | each URL | first URL WANT | until URL WANT | run URL WANT | wait")
}

func get(ctx context.Context, target string, out io.Writer) error {
	a := ask(ctx, client(names{}), http.MethodGet, target, patience)
	if _, err := io.WriteString(out, a.Body); err != nil {
		return err
	}
	switch {
	case a.Error != "":
		return errors.New(a.Error)
	case a.Status/100 != 2:
		return fmt.Errorf("status %d", a.Status)
	}
	return nil
}

// each asks every address that the host has now.
func each(ctx context.Context, target string, out io.Writer) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	for _, addr := range addrs {
		a := ask(ctx, client(names{fixed: addr}), http.MethodGet, target, timeout)
		a.Address = addr
		if err := lines.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// first asks until somebody listens there; the very first answer must hold want.
func first(ctx context.Context, target, want string) error {
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		a := ask(ctx, client(names{}), http.MethodGet, target, timeout)
		switch {
		case a.Status == http.StatusOK && strings.Contains(a.Body, want):
			return nil
		case a.Status != 0:
			return fmt.Errorf("the first answer is %+v", a)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer: %s", a.Error)
		case <-tick.C:
		}
	}
}

// until asks until an answer holds want, whatever comes before, and prints the time. Its first line
// says that it asks from now on.
func until(ctx context.Context, target, want string, out io.Writer) error {
	if _, err := fmt.Fprintln(out, "asking"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	c := client(names{})
	c.Transport.(*http.Transport).DisableKeepAlives = true // any replica, each time
	for {
		a := ask(ctx, c, http.MethodGet, target, timeout)
		if a.Status == http.StatusOK && strings.Contains(a.Body, want) {
			_, err := fmt.Fprintln(out, time.Now().UTC().Format(time.RFC3339Nano))
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not in time: %+v", a)
		case <-tick.C:
		}
	}
}

// answer is what became of one request.
type answer struct {
	Address string `json:",omitempty"`
	Status  int
	Body    string
	Error   string `json:",omitempty"`
}

func ask(ctx context.Context, c *http.Client, method, target string, within time.Duration) answer {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return answer{Error: err.Error()}
	}
	if token := os.Getenv("LOAD_TOKEN"); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{Status: res.StatusCode, Error: "read body: " + err.Error()}
	}
	return answer{Status: res.StatusCode, Body: string(body)}
}
