package haproxy_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

// call is one request through the proxy.
type call struct {
	method, host, path string
	header             http.Header
	tls                bool
	port               int
}

type answer struct {
	status int
	header http.Header
	seen   seen
}

func (r *rig) do(c call) answer {
	r.Helper()
	a, err := r.try(c)
	if err != nil {
		r.Fatal(err)
	}
	return a
}

func (r *rig) try(c call) (answer, error) {
	port, scheme := r.http, "http"
	if c.tls {
		port, scheme = r.tls, "https"
	}
	if c.port != 0 {
		port = c.port
	}
	if c.method == "" {
		c.method = http.MethodGet
	}
	req, err := http.NewRequest(c.method, scheme+"://127.0.0.1:"+strconv.Itoa(port)+c.path, nil)
	if err != nil {
		return answer{}, err
	}
	req.Host = c.host
	for name, values := range c.header {
		req.Header[name] = values
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: c.host}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(body, &a.seen)
	}
	return a, err
}

// goes checks which backend a request reaches, "" for none.
func (r *rig) goes(c call, backend string) {
	r.Helper()
	if a := r.do(c); a.seen.Backend != backend {
		r.Errorf("%s%s (%v): backend %q, status %d, want backend %q", c.host, c.path, c.header, a.seen.Backend, a.status, backend)
	}
}

func (r *rig) file(name string) string {
	r.Helper()
	data, err := os.ReadFile(filepath.Join(r.options.CfgDir, name))
	if err != nil {
		r.Fatal(err)
	}
	return string(data)
}
