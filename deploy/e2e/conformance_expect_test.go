package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// conformanceRequest is one request with what must come back.
type conformanceRequest struct {
	Port, Method, Path, Body, SNI string
	Headers                       map[string]string
	AlpnOffer                     []string `json:"alpn_offer"`
	Expect                        conformanceAnswer
}

// conformanceAnswer: what is empty is not looked at.
type conformanceAnswer struct {
	Status               any
	Backend              int
	BackendAny           []int             `json:"backend_any"`
	PathSeen             string            `json:"path_seen_by_backend"`
	HeadersSeen          map[string]string `json:"headers_seen_by_backend"`
	BackendHeaderAbsent  []string          `json:"backend_header_absent"`
	ResponseHeaders      map[string]string `json:"response_headers"`
	ResponseHeaderAbsent []string          `json:"response_header_absent"`
	ResponseHeaderNot    map[string]string `json:"response_header_not"`
	Location             string
	JSON                 any
	BodyContains         []string `json:"body_contains"`
	CertCN               string   `json:"cert_cn"`
	ALPN                 string
	WithinS              float64 `json:"within_s"`
}

// seen is an answer with what TLS said.
type seen struct {
	answer
	tls *tls.ConnectionState
}

// do makes the request on a connection of its own.
func (s *conformanceReplica) do(t testing.TB, r conformanceRequest) seen {
	addr, secure, err := s.entry(r.Port)
	if err != nil {
		return seen{answer: answer{Err: err}}
	}
	settings := &tls.Config{InsecureSkipVerify: true, ServerName: r.SNI, NextProtos: r.AlpnOffer}
	if r.Expect.ALPN != "" {
		return handshake(addr, settings)
	}
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(t.Context(), r.Method, scheme+addr+s.fillQuery(r.Path), strings.NewReader(s.fill(r.Body)))
	if err != nil {
		return seen{answer: answer{Err: err}}
	}
	for name, value := range r.Headers {
		if name == "Host" {
			req.Host = s.fill(value)
		}
		req.Header.Set(name, s.fill(value))
	}
	c := client()
	c.Transport.(*http.Transport).TLSClientConfig = settings
	res, err := c.Do(req)
	if err != nil {
		return seen{answer: answer{Err: err}}
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return seen{answer: answer{Status: res.StatusCode, Header: res.Header, Body: string(data), Err: err}, tls: res.TLS}
}

// entry is the address behind a port's name.
func (s *conformanceReplica) entry(port string) (addr string, secure bool, err error) {
	switch port {
	case "http":
		return loopback(s.http), false, nil
	case "https":
		return loopback(s.https), true, nil
	case "api":
		return loopback(s.api), false, nil
	}
	kind, n, _ := strings.Cut(port, ":")
	name := map[string]string{"http": "BIND", "tcp": "TCP", "tls": "TCP"}[kind] + n + "_PORT"
	number, ok := s.values[name]
	if !ok {
		return "", false, fmt.Errorf("no port is called %q", port)
	}
	return net.JoinHostPort("127.0.0.1", number), kind == "tls", nil
}

func handshake(addr string, settings *tls.Config) seen {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, settings)
	if err != nil {
		return seen{answer: answer{Err: err}}
	}
	defer conn.Close()
	state := conn.ConnectionState()
	return seen{tls: &state}
}

// match is nil if the answer is as expected.
func (s *conformanceReplica) match(r conformanceRequest, got seen) error {
	if got.Err != nil {
		return got.Err
	}
	want := r.Expect
	errs := []error{matchStatus(want.Status, got.answer), want.matchTLS(got.tls), want.matchHeaders(got.Header)}
	if want.JSON != nil {
		errs = append(errs, matchJSON(want.JSON, got.Body))
	}
	for _, text := range want.BodyContains {
		if !strings.Contains(got.Body, text) {
			errs = append(errs, fmt.Errorf("the body lacks %q: %.2000s", text, got.Body))
		}
	}
	return errors.Join(append(errs, want.matchBackend(got.answer))...)
}

func matchStatus(want any, a answer) error {
	if a.Err != nil {
		return a.Err
	}
	text, _ := want.(string)
	if n, ok := want.(float64); ok {
		text = strconv.Itoa(int(n))
	}
	if want == nil || text == "any" {
		return nil
	}
	for _, one := range strings.Split(text, "|") {
		if one == strconv.Itoa(a.Status) || (strings.HasSuffix(one, "xx") && one[:1] == strconv.Itoa(a.Status)[:1]) {
			return nil
		}
	}
	return fmt.Errorf("want status %s, got %v", text, a)
}

func (want conformanceAnswer) matchTLS(state *tls.ConnectionState) error {
	switch {
	case want.CertCN == "" && want.ALPN == "":
		return nil
	case state == nil:
		return errors.New("the answer came without TLS")
	case want.CertCN != "" && state.PeerCertificates[0].Subject.CommonName != want.CertCN:
		return fmt.Errorf("want the certificate of %s, got %s", want.CertCN, state.PeerCertificates[0].Subject.CommonName)
	case want.ALPN != "" && state.NegotiatedProtocol != want.ALPN:
		return fmt.Errorf("want ALPN %q, got %q", want.ALPN, state.NegotiatedProtocol)
	}
	return nil
}

func (want conformanceAnswer) matchHeaders(got http.Header) error {
	var errs []error
	for name, value := range want.ResponseHeaders {
		errs = append(errs, matchHeader(got, name, value))
	}
	if want.Location != "" {
		errs = append(errs, matchHeader(got, "Location", want.Location))
	}
	for _, name := range want.ResponseHeaderAbsent {
		errs = append(errs, absent(got, name))
	}
	for name, value := range want.ResponseHeaderNot {
		if got.Get(name) == value {
			errs = append(errs, fmt.Errorf("header %s must not be %q", name, value))
		}
	}
	return errors.Join(errs...)
}

// matchBackend looks at the echo of the request.
func (want conformanceAnswer) matchBackend(a answer) error {
	backends := want.BackendAny
	if want.Backend != 0 {
		backends = []int{want.Backend}
	}
	if backends == nil && want.PathSeen == "" && want.HeadersSeen == nil && want.BackendHeaderAbsent == nil {
		return nil
	}
	var e echo
	body, err := plainBody(a)
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil {
		return fmt.Errorf("no echo in %v: %w", a, err)
	}
	var errs []error
	if n, err := strconv.Atoi(e.Backend); err != nil || (backends != nil && !slices.Contains(backends, n)) {
		errs = append(errs, fmt.Errorf("want backend %v, got %s", backends, e.Backend))
	}
	if want.PathSeen != "" && !matchText(want.PathSeen, e.URI) {
		errs = append(errs, fmt.Errorf("the backend saw path %q, want %q", e.URI, want.PathSeen))
	}
	for name, value := range want.HeadersSeen {
		errs = append(errs, matchHeader(e.Header, name, value))
	}
	for _, name := range want.BackendHeaderAbsent {
		errs = append(errs, absent(e.Header, name))
	}
	return errors.Join(errs...)
}

func absent(h http.Header, name string) error {
	if values := h.Values(name); len(values) > 0 {
		return fmt.Errorf("header %s is %q, want none", name, values)
	}
	return nil
}

func matchHeader(h http.Header, name, want string) error {
	if got := strings.Join(h.Values(name), ", "); !matchText(want, got) {
		return fmt.Errorf("header %s is %q, want %q", name, got, want)
	}
	return nil
}

// matchText: after re: stands a regular expression for the whole text.
func matchText(want, got string) bool {
	if pattern, ok := strings.CutPrefix(want, "re:"); ok {
		return regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(got)
	}
	return want == got
}

func matchJSON(want any, body string) error {
	var got any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		return fmt.Errorf("decode %.600s: %w", body, err)
	}
	if !within(want, got) {
		return fmt.Errorf("%.900s does not hold %v", body, want)
	}
	return nil
}

// within: objects may have more fields, lists more elements.
func within(want, got any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for name, value := range w {
			ok = ok && within(value, g[name])
		}
		return ok
	case []any:
		g, ok := got.([]any)
		for _, value := range w {
			ok = ok && slices.ContainsFunc(g, func(one any) bool { return within(value, one) })
		}
		return ok
	case string:
		g, ok := got.(string)
		return ok && matchText(w, g)
	}
	return reflect.DeepEqual(want, got)
}
