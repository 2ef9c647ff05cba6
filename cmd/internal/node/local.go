package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sluice/crdt/service"
	"sluice/proxy"
)

// Local is a service that this replica's own environment defines: it is in no log, and
// served unless the state has a service of that name.
type Local struct {
	// Prefix is what the names of its variables begin with.
	Prefix string
	// Query holds its parameters, Variables the variable that each came from.
	Query     url.Values
	Variables map[string]string
}

// localServices reads and checks the services of the environment.
func (n *Node) localServices() ([]service.Service, error) {
	var errs []error
	var all []service.Service
	for i := range n.cfg.Local {
		l := &n.cfg.Local[i]
		s, err := n.localService(l)
		if err == nil && slices.ContainsFunc(all, func(o service.Service) bool { return o.Name == s.Name }) {
			err = fmt.Errorf("%s: %q is the name of two services of the environment: rename one", l.variable("serviceName"), s.Name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !n.cfg.FilterInstance || strings.EqualFold(s.ProxyInstanceName, n.cfg.Instance) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b service.Service) int { return strings.Compare(a.Name, b.Name) })
	return all, errors.Join(errs...)
}

func (n *Node) localService(l *Local) (service.Service, error) {
	req, err := service.Parse(l.Query, service.Defaults{Separator: n.cfg.Separator, DomainAlgo: n.cfg.DomainAlgo})
	s := req.Service
	if err == nil {
		err = s.Validate(n.limits())
	}
	var fields service.Errors
	if !errors.As(err, &fields) {
		return s, err
	}
	problems := make([]error, len(fields))
	for i, f := range fields {
		problems[i] = fmt.Errorf("%s: %w", l.variable(f.Param), f)
	}
	return s, errors.Join(problems...)
}

// variable is the variable behind a parameter, or the one that is missing.
func (l *Local) variable(param string) string {
	if name := l.Variables[param]; name != "" {
		return name
	}
	base, _, _ := strings.Cut(param, ".")
	if name := l.Variables[base]; name != "" {
		return name
	}
	return l.Prefix + "* (" + param + ")"
}

// localItems are the services as the proxy takes them. Their version tells two
// definitions of one name apart.
func localItems(services []service.Service) ([]proxy.Item, error) {
	items := make([]proxy.Item, 0, len(services))
	for i := range services {
		value, err := services[i].Canonical()
		if err != nil {
			return nil, fmt.Errorf("encode service %s of the environment: %w", services[i].Name, err)
		}
		sum := sha256.Sum256(value)
		items = append(items, proxy.Item{Name: services[i].Name, Version: "environment-" + hex.EncodeToString(sum[:6]), Value: value})
	}
	return items, nil
}

// layered puts the services of the environment below those of the state.
type layered struct {
	proxy.Source
	local []proxy.Item // sorted by name
}

func (l layered) Desired() proxy.Desired {
	d := l.Source.Desired()
	if len(l.local) == 0 {
		return d
	}
	rest := d.Items
	d.Items = make([]proxy.Item, 0, len(rest)+len(l.local))
	for _, it := range l.local {
		i, above := slices.BinarySearchFunc(rest, it.Name, func(o proxy.Item, name string) int { return strings.Compare(o.Name, name) })
		d.Items = append(d.Items, rest[:i]...)
		if rest = rest[i:]; !above {
			d.Items = append(d.Items, it)
		}
	}
	d.Items = append(d.Items, rest...)
	return d
}

// openLocal protects the secrets of the services of the environment.
func (n *Node) openLocal() ([]proxy.Item, error) {
	for i := range n.local {
		if err := n.local[i].Protect(n.key); err != nil {
			return nil, fmt.Errorf("service %s of the environment: %w", n.local[i].Name, err)
		}
	}
	return localItems(n.local)
}

func byName(services []service.Service) map[string]service.Service {
	m := make(map[string]service.Service, len(services))
	for i := range services {
		m[services[i].Name] = services[i]
	}
	return m
}
