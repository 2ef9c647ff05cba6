package consul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	dialTimeout    = time.Second
	requestTimeout = 2 * time.Second
)

// client asks one Consul agent after the other until one answers, and stays with that one.
// Safe for concurrent use.
type client struct {
	agents []agent

	mu      sync.Mutex
	current int
}

type agent struct {
	addr string
	api  *api.Client
}

func newClient(addrs []string, token string) (*client, error) {
	c := &client{}
	var problems []error
	for _, addr := range addrs {
		a, err := newAgent(strings.TrimSpace(addr), token)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		c.agents = append(c.agents, a)
	}
	if len(addrs) == 0 {
		problems = append(problems, errors.New("consul: no address is given; set one such as consul:8500"))
	}
	return c, errors.Join(problems...)
}

// newAgent never repeats an address that it refuses: it may hold a password.
func newAgent(addr, token string) (agent, error) {
	text := addr
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return agent{}, errors.New("consul: an address is not host:port, http://host:port or https://host:port")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return agent{}, fmt.Errorf("consul address %s: only scheme, host, port and path are allowed; give the token in its own setting", u.Host)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "8500")
	}
	shown := u.Scheme + "://" + u.Host + strings.TrimSuffix(u.Path, "/")
	made, err := api.NewClient(&api.Config{Address: shown, Scheme: u.Scheme, Token: token, HttpClient: newHTTP()})
	if err != nil {
		return agent{}, fmt.Errorf("consul address %s: %w", shown, err)
	}
	return agent{addr: shown, api: made}, nil
}

func newHTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
	}}
}

// do asks the agents in turn, beginning with the one that answered last. An answer that says
// that the request is wrong is final; no answer and a server error are not.
func (c *client) do(ctx context.Context, what string, ask func(context.Context, *api.Client) error) error {
	c.mu.Lock()
	first := c.current
	c.mu.Unlock()
	var all []error
	for i := range c.agents {
		n := (first + i) % len(c.agents)
		a := c.agents[n]
		err := attempt(ctx, a, ask)
		if err == nil {
			c.mu.Lock()
			c.current = n
			c.mu.Unlock()
			return nil
		}
		all = append(all, fmt.Errorf("consul %s: %w", a.addr, err))
		if ctx.Err() != nil || final(err) {
			break
		}
	}
	return fmt.Errorf("%s: %w", what, errors.Join(all...))
}

func attempt(ctx context.Context, a agent, ask func(context.Context, *api.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return ask(ctx, a.api)
}

func final(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code < 500 && status.Code != http.StatusTooManyRequests
}

func (c *client) get(ctx context.Context, key string) (pair *api.KVPair, err error) {
	err = c.do(ctx, "read "+key, func(ctx context.Context, a *api.Client) error {
		pair, _, err = a.KV().Get(key, reading(ctx))
		return err
	})
	return pair, err
}

func (c *client) put(ctx context.Context, key string, value []byte) error {
	return c.do(ctx, "write "+key, func(ctx context.Context, a *api.Client) error {
		_, err := a.KV().Put(&api.KVPair{Key: key, Value: value}, writing(ctx))
		return err
	})
}

// cas writes key if its index is still that of pair; 0: if there is no such key.
func (c *client) cas(ctx context.Context, pair *api.KVPair) (done bool, err error) {
	err = c.do(ctx, "write "+pair.Key, func(ctx context.Context, a *api.Client) error {
		done, _, err = a.KV().CAS(pair, writing(ctx))
		return err
	})
	return done, err
}

func (c *client) deleteTree(ctx context.Context, prefix string) error {
	return c.do(ctx, "remove "+prefix, func(ctx context.Context, a *api.Client) error {
		_, err := a.KV().DeleteTree(prefix, writing(ctx))
		return err
	})
}

func (c *client) list(ctx context.Context, prefix string) (pairs api.KVPairs, err error) {
	err = c.do(ctx, "list "+prefix, func(ctx context.Context, a *api.Client) error {
		pairs, _, err = a.KV().List(prefix, reading(ctx))
		return err
	})
	return pairs, err
}

// folders lists the names one level below prefix, which ends in a slash.
func (c *client) folders(ctx context.Context, prefix string) (names []string, err error) {
	err = c.do(ctx, "list "+prefix, func(ctx context.Context, a *api.Client) error {
		names, _, err = a.KV().Keys(prefix, "/", reading(ctx))
		return err
	})
	for i, name := range names {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(name, prefix), "/")
	}
	return names, err
}

func reading(ctx context.Context) *api.QueryOptions { return (&api.QueryOptions{}).WithContext(ctx) }
func writing(ctx context.Context) *api.WriteOptions { return (&api.WriteOptions{}).WithContext(ctx) }
