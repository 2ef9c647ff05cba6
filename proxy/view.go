package proxy

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"

	"sluice/crdt/service"
)

// View is everything that rendering needs besides the services and the Options: the
// answers of the outside world, already looked up.
type View struct {
	// Addresses gives a host's sorted addresses; none if it does not resolve.
	Addresses func(host string) []netip.Addr
	// Secret reads a file of the secrets directory.
	Secret func(name string) (string, bool)
	// Template reads a file of the templates directory; nil: templates are not allowed.
	Template func(name string) (string, error)
	// Certificates are the local PEM bundles, Bundles those of the map, Fallback is the path
	// of the self-signed one.
	Certificates []Certificate
	Bundles      []Bundle
	Fallback     string
	// Listed are the certificate files of the operator's own list, if there is one.
	Listed []string
	// OwnPorts are where this replica itself listens, Interfaces the sorted addresses of this
	// machine: no server is any of these.
	OwnPorts   []service.OwnPort
	Interfaces []netip.Addr
	// Problems are local inputs that cannot be used, one line each; they become notes.
	Problems []string
	// Errorfiles maps status codes to error file paths.
	Errorfiles map[int]string
}

func (v *View) addresses(host string) []netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}
	}
	if v.Addresses == nil {
		return nil
	}
	return v.Addresses(host)
}

func (v *View) secret(name string) (string, bool) {
	if v.Secret == nil {
		return "", false
	}
	return v.Secret(name)
}

// same reports whether nothing of the view's own values differs.
func (v *View) same(o *View) bool {
	return slices.EqualFunc(v.Certificates, o.Certificates, sameCertificate) &&
		slices.EqualFunc(v.Bundles, o.Bundles, sameBundle) &&
		v.samePlace(o) && slices.Equal(v.Listed, o.Listed) && v.Fallback == o.Fallback && slices.Equal(v.Problems, o.Problems) && maps.Equal(v.Errorfiles, o.Errorfiles)
}

func sameCertificate(a, b Certificate) bool {
	return a.Name == b.Name && a.Path == b.Path && bytes.Equal(a.Chain, b.Chain)
}

func sameBundle(a, b Bundle) bool { return a.Name == b.Name && a.Version == b.Version }
