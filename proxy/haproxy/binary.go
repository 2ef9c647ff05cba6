// Package haproxy runs HAProxy in master-worker mode: it finds the program, asks it for
// its opinion on a configuration, starts and reloads it and speaks with its sockets.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sluice/proxy"
)

// Errors of Find that a caller decides by.
var (
	// ErrMissing: there is no such program.
	ErrMissing = errors.New("haproxy is not installed")
	// ErrTooOld: the program is older than the configuration needs.
	ErrTooOld = errors.New("haproxy is too old")
)

// Binary is an HAProxy program.
type Binary struct {
	Path         string
	Major, Minor int
	// Version is the whole version text, such as "2.6.12-1+deb12u4".
	Version string
}

var versionPattern = regexp.MustCompile(`(?m)^HA-?Proxy version ((\d+)\.(\d+)\S*)`)

// Find looks for HAProxy, at path or in PATH where path is empty, and refuses versions
// before 2.6. The error says what to do.
func Find(ctx context.Context, path string) (Binary, error) {
	name := path
	if name == "" {
		name = "haproxy"
	}
	found, err := exec.LookPath(name)
	if err != nil && path == "" {
		found, err = exec.LookPath("/usr/sbin/haproxy") // not in everybody's PATH
	}
	if err != nil {
		return Binary{}, fmt.Errorf("find %s: %w; install it (apt-get install haproxy) or give its path with --haproxy", name, ErrMissing)
	}
	found, err = filepath.Abs(found)
	if err != nil {
		return Binary{}, fmt.Errorf("find %s: %w", name, err)
	}
	out, err := exec.CommandContext(ctx, found, "-v").CombinedOutput()
	if err != nil {
		return Binary{}, fmt.Errorf("ask %s for its version: %w", found, err)
	}
	return parseVersion(found, string(out))
}

func parseVersion(path, text string) (Binary, error) {
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return Binary{}, fmt.Errorf("read version of %s: it does not say that it is HAProxy: %.80q", path, text)
	}
	b := Binary{Path: path, Version: m[1]}
	b.Major, _ = strconv.Atoi(m[2]) // the pattern admits digits only
	b.Minor, _ = strconv.Atoi(m[3])
	if b.Major < 2 || b.Major == 2 && b.Minor < 6 {
		return Binary{}, fmt.Errorf("use %s: %w: it is %s, install 2.6 or newer", path, ErrTooOld, b.Version)
	}
	return b, nil
}

// maxAlerts bounds the text of a verdict in bytes.
const maxAlerts = 4 << 10

// Check asks HAProxy whether it accepts the configuration file. A *proxy.Verdict is its
// refusal; any other error means that it could not be asked.
func (b Binary) Check(ctx context.Context, file string) error {
	cmd := exec.CommandContext(ctx, b.Path, "-c", "-f", file)
	cmd.Dir = filepath.Dir(file)
	cmd.Env = environment()
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if ctx.Err() != nil || !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return fmt.Errorf("check configuration %s: %w", file, errors.Join(err, ctx.Err()))
	}
	return &proxy.Verdict{Text: alerts(string(out))}
}

// alerts keeps what HAProxy complains about, without the lines that only frame it.
func alerts(out string) string {
	var kept []string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		_, message, found := strings.Cut(line, " : ")
		if !found || !strings.HasPrefix(line, "[ALERT]") {
			continue
		}
		message = strings.TrimPrefix(message, "config : ")
		if strings.HasPrefix(message, "Error(s) found in") || strings.HasPrefix(message, "Fatal errors found") {
			continue
		}
		kept = append(kept, message)
	}
	text := strings.Join(kept, "; ")
	if text == "" {
		text = strings.TrimSpace(withoutFarewells(out))
	}
	if len(text) > maxAlerts {
		text = text[:maxAlerts]
	}
	return text
}

// withoutFarewells leaves out what a worker that ends says of each of its proxies.
func withoutFarewells(out string) string {
	var kept strings.Builder
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "cumulated conns") && !strings.HasPrefix(line, "conns: FE") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// environment is all that HAProxy inherits: nothing of this process's secrets.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
}

// Capabilities are what commands can do in this version.
func (b Binary) Capabilities() proxy.Capabilities {
	return proxy.Capabilities{
		Cookie:     b.atLeast(3, 0),
		AddBackend: b.atLeast(3, 4),
	}
}

func (b Binary) atLeast(major, minor int) bool {
	return b.Major > major || b.Major == major && b.Minor >= minor
}
