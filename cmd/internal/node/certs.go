package node

import (
	"path/filepath"
	"sync"

	"sluice/crdt"
	"sluice/events/api"
	"sluice/proxy"
)

// certificates opens those of the map for the proxy. What it opened is kept, so that each
// version is opened once. Safe for concurrent use.
type certificates struct {
	// open opens a box; nil: this replica has no cluster key.
	open func(box string) ([]byte, error)

	mu    sync.Mutex
	known map[string]proxy.Bundle // by key
}

// bundles are the certificates among the entries, in their order. One that cannot be used
// here is there with its problem, so that the version before it serves on.
func (c *certificates) bundles(entries []crdt.Entry) []proxy.Bundle {
	c.mu.Lock()
	before := c.known
	c.mu.Unlock()
	var list []proxy.Bundle
	now := map[string]proxy.Bundle{}
	for _, e := range entries {
		name, ok := api.CertificateName(e.Key)
		if !ok {
			continue
		}
		b, ok := before[e.Key]
		if version := e.Stamp.String(); !ok || b.Version != version {
			b = c.bundle(e)
			b.Name, b.Version = name, version
		}
		now[e.Key] = b
		list = append(list, b)
	}
	c.mu.Lock()
	c.known = now
	c.mu.Unlock()
	return list
}

func (c *certificates) bundle(e crdt.Entry) proxy.Bundle {
	doc, err := api.DecodeCertificate(e.Key, e.Value)
	if err != nil {
		return proxy.Bundle{Problem: err.Error()}
	}
	if c.open == nil {
		return proxy.Bundle{Problem: "this replica has no cluster key: give it the other replicas' (--cluster-key-file)"}
	}
	pem, err := c.open(doc.Box)
	if err == nil {
		_, err = proxy.ReadCertificate(pem)
	}
	if err != nil {
		return proxy.Bundle{Problem: err.Error()}
	}
	return proxy.Bundle{PEM: pem}
}

var _ api.Certificates = gateway{}

// Certificates shows the API what HAProxy presents. Files of the secrets directory are
// nobody's business.
func (g gateway) Certificates() []api.Certificate {
	var list []api.Certificate
	for _, c := range g.Controller.Certificates() {
		if !c.Secret {
			list = append(list, api.Certificate{
				Name: c.Name, Dir: filepath.Dir(c.Path), Chain: string(c.Chain), Subjects: c.Subjects, NotAfter: c.NotAfter,
			})
		}
	}
	return list
}
