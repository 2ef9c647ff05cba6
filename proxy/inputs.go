package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// maxLocalFile bounds a secret or template in bytes.
const maxLocalFile = 1 << 20

// hostsOf are the names that a service needs the addresses of.
func hostsOf(s *service.Service) []string {
	var hosts []string
	add := func(host string) {
		if _, err := netip.ParseAddr(host); err != nil && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	tasks := s.SessionType != "" || s.DiscoveryType != ""
	for j := range s.Destinations {
		if d := &s.Destinations[j]; !nameless(s, d) {
			add(s.Host(d))
		}
		tasks = tasks || s.Destinations[j].ServiceGroup != ""
	}
	if tasks && !contained(s) {
		add(tasksOf(s.Name))
	}
	return hosts
}

// view looks up everything local that rendering needs, but for what HAProxy is asked about.
func (c *Controller) view() View {
	v := View{
		Addresses: c.resolver.Addresses, Secret: c.secret,
		OwnPorts: c.cfg.Limits.OwnPorts, Interfaces: c.locate(),
	}
	if c.options.TemplatesDir != "" {
		v.Template = func(name string) (string, error) { return readLocal(c.options.TemplatesDir, name) }
	}
	if c.cfg.Certificates != nil {
		v.Certificates, v.Problems = c.cfg.Certificates.Files()
		if fallback, err := c.cfg.Certificates.Fallback(); err == nil {
			v.Fallback = fallback
		} else {
			c.log.Error().Err(err).Msg("cannot make the self-signed certificate")
		}
	}
	c.listed(&v)
	return v
}

func (c *Controller) secret(name string) (string, bool) {
	text, err := readLocal(c.options.SecretsDir, name)
	return text, err == nil
}

var errNotLocal = errors.New("is not a plain file name")

// readLocal reads a small file of a directory; name cannot lead out of it.
func readLocal(dir, name string) (string, error) {
	if dir == "" || !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
		return "", fmt.Errorf("%.40q %w", name, errNotLocal)
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return "", fmt.Errorf("read %.80q: %w", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLocalFile))
	return string(data), err
}
