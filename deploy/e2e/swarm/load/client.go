package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// names is how a client finds an address.
type names struct {
	// fixed is an address that is taken always; empty: any that the name has.
	fixed string
	// remember is how long the name's addresses are believed without asking again.
	remember time.Duration
}

// client connects to one address for each connection, without trying another.
func client(n names) *http.Client {
	r := &resolver{names: n}
	dial := func(ctx context.Context, network, hostport string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(hostport)
		if err != nil {
			return nil, err
		}
		addr, err := r.address(ctx, host)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(addr, port))
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 1}}
}

// resolver resolves the one name that its client asks for.
type resolver struct {
	names

	mu    sync.Mutex
	addrs []string
	until time.Time
}

func (r *resolver) address(ctx context.Context, host string) (string, error) {
	if r.fixed != "" {
		return r.fixed, nil
	}
	addrs, err := r.known(ctx, host)
	if err != nil {
		return "", err
	}
	return addrs[rand.IntN(len(addrs))], nil
}

func (r *resolver) known(ctx context.Context, host string) ([]string, error) {
	r.mu.Lock()
	addrs := r.addrs
	fresh := time.Now().Before(r.until)
	r.mu.Unlock()
	if fresh {
		return addrs, nil
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addrs, r.until = addrs, time.Now().Add(r.remember)
	return addrs, nil
}
