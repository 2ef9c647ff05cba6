package node

import (
	"errors"
	"path/filepath"

	"sluice/crdt"
	"sluice/events/api"
	"sluice/proxy"
)

// certificates opens those of the map for the proxy, each version once. One that cannot be
// used here is there with its problem, so that the version before it serves on. Without open
// this replica has no cluster key.
func certificates(open func(box string) ([]byte, error)) carried[proxy.Bundle] {
	return carried[proxy.Bundle]{make: func(e *crdt.Entry) (proxy.Bundle, bool) {
		name, ok := api.CertificateName(e.Key)
		if !ok {
			return proxy.Bundle{}, false
		}
		b := proxy.Bundle{Name: name, Version: e.Stamp.String()}
		pem, err := certificate(e, open)
		if b.PEM = pem; err != nil {
			b.PEM, b.Problem = nil, err.Error()
		}
		return b, true
	}}
}

// certificate is the bundle in the entry.
func certificate(e *crdt.Entry, open func(box string) ([]byte, error)) ([]byte, error) {
	doc, err := api.DecodeCertificate(e.Key, e.Value)
	if err != nil {
		return nil, err
	}
	if open == nil {
		return nil, errors.New("this replica has no cluster key: give it the other replicas' (--cluster-key-file)")
	}
	pem, err := open(doc.Box)
	if err == nil {
		_, err = proxy.ReadCertificate(pem)
	}
	return pem, err
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
