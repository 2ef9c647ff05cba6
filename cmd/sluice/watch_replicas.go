package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/events/api"
)

const (
	// lookupAfter is how long the addresses of a name are used before it is looked up again.
	lookupAfter = 5 * time.Second
	dialTimeout = 2 * time.Second
)

// replicaSet are the replicas that a comma list of URLs names. A name with several addresses
// is several replicas. Safe for concurrent use.
type replicaSet struct {
	bases  []*url.URL
	token  func() (string, error)
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	http   *http.Client

	mu      sync.Mutex
	clients []*api.Client
	until   time.Time
}

func newReplicaSet(list string, token func() (string, error)) (*replicaSet, error) {
	s := &replicaSet{token: token, lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}}
	s.http = &http.Client{
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if _, err := api.NewClient(api.ClientConfig{Base: text}); err != nil {
			return nil, fmt.Errorf("--api (SLUICE_API): %w", err)
		}
		base, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("--api (SLUICE_API): %w", err)
		}
		s.bases = append(s.bases, base)
	}
	if len(s.bases) == 0 {
		return nil, errors.New("--api (SLUICE_API) is empty: name a replica, e.g. http://tasks.proxy:8080")
	}
	return s, nil
}

// list gives the replicas to try, in turn. A name that does not resolve is left out.
func (s *replicaSet) list(ctx context.Context) ([]*api.Client, error) {
	s.mu.Lock()
	clients, fresh := s.clients, time.Now().Before(s.until)
	s.mu.Unlock()
	if fresh {
		return clients, nil
	}
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	clients = nil
	var errs []error
	for _, base := range s.bases {
		urls, err := s.resolve(ctx, base)
		errs = append(errs, err)
		for _, u := range urls {
			c, err := api.NewClient(api.ClientConfig{Base: u, Token: token, Origin: api.OriginSwarm, HTTP: s.http})
			if err != nil {
				return nil, err
			}
			clients = append(clients, c)
		}
	}
	if len(clients) == 0 {
		return nil, fmt.Errorf("%w: %w", api.ErrUnreachable, errors.Join(errs...))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients, s.until = clients, time.Now().Add(lookupAfter)
	return clients, nil
}

// resolve gives one URL for each address of the base's host. TLS needs the name.
func (s *replicaSet) resolve(ctx context.Context, base *url.URL) ([]string, error) {
	host := base.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || base.Scheme != "http" {
		return []string{base.String()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := s.lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	var urls []string
	for _, addr := range slices.Compact(addrs) {
		u := *base
		u.Host = addr.String()
		if port := base.Port(); port != "" {
			u.Host = net.JoinHostPort(u.Host, port)
		} else if addr.Is6() {
			u.Host = "[" + u.Host + "]"
		}
		urls = append(urls, u.String())
	}
	return urls, nil
}
