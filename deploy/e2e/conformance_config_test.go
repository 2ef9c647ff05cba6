package e2e_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// equivalents translate a directive of Docker Flow Proxy's configuration to the one that
// has its meaning here.
var equivalents = map[string]string{
	// Entry ports are looked up in a map instead of a condition per destination.
	`dst_port 80\b`:  `(?s)map_str\(maps/entry-ports\.map,0\).*# maps/entry-ports\.map\n(?:[0-9 ]+\n)*80 80\n`,
	`dst_port 443\b`: `(?s)map_str\(maps/entry-ports\.map,0\).*# maps/entry-ports\.map\n(?:[0-9 ]+\n)*443 443\n`,
	// The control plane follows the addresses of a name: a checked server for each, at
	// most as many as there are replicas.
	`server-template go-demo 2 127\.0\.0\.1:{BE1_PORT} check`: `server go-demo_1 127\.0\.0\.1:{BE1_PORT} check`,
}

// checkConfig compares the configuration with what the case says about it.
func (s *conformanceReplica) checkConfig(t testing.TB, c conformanceCase) {
	t.Helper()
	if len(c.Config.Contains)+len(c.Config.NotContains) == 0 {
		return
	}
	text := mustStatus(t, get(t, s.url("/v1/docker-flow-proxy/config")), http.StatusOK).Body + s.mapFiles(t)
	holds := func(part string) bool {
		if other, ok := equivalents[part]; ok {
			part = other
		}
		part = s.fill(part)
		pattern, err := regexp.Compile(part)
		return strings.Contains(text, part) || (err == nil && pattern.MatchString(text))
	}
	for _, part := range c.Config.Contains {
		if !holds(part) {
			t.Errorf("the configuration lacks %q:\n%s", part, text)
		}
	}
	for _, part := range c.Config.NotContains {
		if holds(part) {
			t.Errorf("the configuration holds %q:\n%s", part, text)
		}
	}
}

// mapFiles are the maps that the configuration names, each below a line with its name.
func (s *conformanceReplica) mapFiles(t testing.TB) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "cfg", "maps", "*.map"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // files are written behind, and removed
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "\n# maps/%s\n%s", filepath.Base(file), data)
	}
	return all.String()
}

// plainBody is the body, uncompressed.
func plainBody(a answer) ([]byte, error) {
	if a.Header.Get("Content-Encoding") != "gzip" {
		return []byte(a.Body), nil
	}
	r, err := gzip.NewReader(bytes.NewReader([]byte(a.Body)))
	if err != nil {
		return nil, fmt.Errorf("open the compressed body: %w", err)
	}
	return io.ReadAll(r)
}
