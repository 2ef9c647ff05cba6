package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sluice/crdt/service"
	"sluice/events"
)

const maxLine = 4 << 20 // bytes of one line of an answer: a definition and then some

// ErrUnreachable marks errors of a Client that got no answer at all.
var ErrUnreachable = errors.New("no replica answers")

// ClientConfig says whom a Client calls.
type ClientConfig struct {
	// Base is the API's URL, for example http://127.0.0.1:8080.
	Base string
	// Token is sent as Bearer; empty: none is sent.
	Token string
	// Origin names the program in the events that it causes: "cli", OriginSwarm or empty.
	Origin string
	// HTTP does the requests; nil: a client of its own.
	HTTP *http.Client
}

// Client calls the API of one replica. Errors of its methods are *Problem when the API
// answered with one, ErrUnreachable when no answer came, and service.Errors for a name that
// no service can have. Safe for concurrent use.
type Client struct {
	base   *url.URL
	token  string
	origin string
	http   *http.Client
	// recognised: it was Sluice that answered.
	recognised atomic.Bool
}

// NewClient checks the base URL; it does not connect.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := url.Parse(cfg.Base)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("parse API address %q: want a URL such as http://127.0.0.1:8080", cfg.Base)
	}
	if base.User != nil {
		return nil, fmt.Errorf("parse API address of %s: it must not hold a password: use a token", base.Host)
	}
	c := &Client{base: base, token: cfg.Token, origin: cfg.Origin, http: cfg.HTTP}
	if c.http == nil {
		// Redirects are not followed: no answer of the API needs one, and the token must
		// not travel to where somebody else points.
		c.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return c, nil
}

// Options go with a change.
type Options struct {
	// Wait is none, local or all; empty: the API's default.
	Wait events.Scope
	// Timeout of the wait; zero: the API's default.
	Timeout time.Duration
	// IfMatch is the stamp that the service must have, "*" any, "" no condition.
	IfMatch string
	// IfAbsent: there must be no such service; only for Announcement.
	IfAbsent bool
}

func (o Options) query() url.Values {
	q := url.Values{}
	if o.Wait != "" {
		q.Set("wait", string(o.Wait))
	}
	if o.Timeout > 0 {
		q.Set("timeout", o.Timeout.String())
	}
	return q
}

// call is one request.
type call struct {
	method, path string
	query        url.Values
	body         []byte
	contentType  string
	ifMatch      string
	create       bool // only if there is none
	source       string
}

// Reconfigure publishes a definition given as Docker Flow Proxy's parameters.
func (c *Client) Reconfigure(ctx context.Context, name string, params url.Values, o Options) (Changed, error) {
	return c.change(ctx, call{method: http.MethodPut, path: servicePath(name), query: o.query(),
		body: []byte(params.Encode()), contentType: "application/x-www-form-urlencoded", ifMatch: o.IfMatch})
}

// Put publishes a JSON definition.
func (c *Client) Put(ctx context.Context, name string, definition []byte, o Options) (Changed, error) {
	return c.change(ctx, call{method: http.MethodPut, path: servicePath(name), query: o.query(),
		body: definition, contentType: "application/json", ifMatch: o.IfMatch})
}

// Remove removes a service; removing one that is not there is no error.
func (c *Client) Remove(ctx context.Context, name string, o Options) (Changed, error) {
	return c.change(ctx, call{method: http.MethodDelete, path: servicePath(name), query: o.query(), ifMatch: o.IfMatch})
}

func (c *Client) change(ctx context.Context, req call) (Changed, error) {
	var out Changed
	if err := service.CheckName(strings.TrimPrefix(req.path, servicePath(""))); err != nil {
		return out, err
	}
	err := c.json(ctx, req, &out)
	return out, err
}

// servicePath needs no escaping, since names are checked before they come here.
func servicePath(name string) string { return "/v1/services/" + name }

// Services lists the live services by name.
func (c *Client) Services(ctx context.Context) ([]Item, error) {
	var out itemList
	err := c.json(ctx, call{method: http.MethodGet, path: "/v1/services"}, &out)
	return out.Services, err
}

// Service is one service; a *Problem with status 404 if there is none of that name.
func (c *Client) Service(ctx context.Context, name string) (Item, error) {
	if err := service.CheckName(name); err != nil {
		return Item{}, err
	}
	res, err := c.do(ctx, call{method: http.MethodGet, path: servicePath(name)}, "application/json")
	if err != nil {
		return Item{}, err
	}
	defer res.Body.Close()
	out := Item{Name: name, Stamp: strings.Trim(res.Header.Get("ETag"), `"`)}
	if err := json.NewDecoder(res.Body).Decode(&out.Definition); err != nil {
		return Item{}, fmt.Errorf("read service %s: %w", name, err)
	}
	return out, nil
}

// Replicas lists every replica that the called one has heard of.
func (c *Client) Replicas(ctx context.Context) ([]events.Status, error) {
	var out replicaList
	err := c.json(ctx, call{method: http.MethodGet, path: "/v1/replicas"}, &out)
	return out.Replicas, err
}

// Why explains what becomes of a request to a URL; headers are lines "Name: value". An
// empty method is GET.
func (c *Client) Why(ctx context.Context, target, method string, headers []string) (Explanation, error) {
	q := url.Values{"url": {target}, "header": headers}
	if method != "" {
		q.Set("method", method)
	}
	var out Explanation
	err := c.json(ctx, call{method: http.MethodGet, path: "/v1/why", query: q}, &out)
	return out, err
}

// Health is nil while the replica is alive.
func (c *Client) Health(ctx context.Context) error {
	return c.json(ctx, call{method: http.MethodGet, path: "/healthz"}, nil)
}

// Events hands the events that q selects to handle, in order; with q.Follow until ctx
// ends or handle returns an error. Kind is service (also if empty) or overlay. A list that ends
// early ends with the *Problem why.
func (c *Client) Events(ctx context.Context, q events.Query, handle func(events.Record) error) error {
	v := url.Values{}
	v.Set("after", strconv.FormatUint(q.After, 10))
	if q.Follow {
		v.Set("follow", "true")
	}
	if q.Conflicts {
		v.Set("conflicts", "true")
	}
	if q.Key != "" {
		_, name, _ := strings.Cut(q.Key, "/")
		v.Set("service", name)
	}
	if q.Kind != "" {
		v.Set("kind", q.Kind)
	}
	res, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/events", query: v}, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var line struct {
			events.Record
			failure
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		if line.Problem != nil {
			return line.Problem
		}
		if err := handle(line.Record); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return nil
}

func (c *Client) json(ctx context.Context, req call, out any) error {
	res, err := c.do(ctx, req, "application/json")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("read answer of %s %s: %w", req.method, req.path, err)
	}
	return nil
}

// do returns a response of status 2xx, whose body the caller closes, or an error.
func (c *Client) do(ctx context.Context, in call, accept string) (*http.Response, error) {
	u := *c.base
	u.Path, u.RawPath, u.RawQuery = strings.TrimSuffix(u.Path, "/")+in.path, "", in.query.Encode()
	req, err := http.NewRequestWithContext(ctx, in.method, u.String(), bytes.NewReader(in.body))
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("Accept", accept)
	set("Content-Type", in.contentType)
	set(OriginHeader, c.origin)
	set(SourceHeader, in.source)
	if c.token != "" {
		set("Authorization", "Bearer "+c.token)
	}
	if in.create {
		set("If-None-Match", "*")
	}
	if in.ifMatch == "*" {
		set("If-Match", "*")
	} else if in.ifMatch != "" {
		set("If-Match", `"`+in.ifMatch+`"`)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, readProblem(res)
	}
	return res, nil
}

// readProblem makes a *Problem of any answer that is not a success.
func readProblem(res *http.Response) error {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(res.Body, maxLine))
	if err == nil && kind == "application/problem+json" && json.Unmarshal(body, p) == nil && p.Status != 0 {
		return p
	}
	p = newProblem(res.StatusCode, "the API answered "+res.Status)
	p.foreign = true
	return p
}
