package proxy

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/crdt/service"
)

// Certificate describes a certificate that HAProxy presents. It holds no private key.
type Certificate struct {
	// Name is the one that users know: of a file its name, of one from the map the name it
	// was sent with, of a service's own its first domain, else the service's name.
	Name string
	// Path of the PEM bundle; relative to the configuration directory if it is written there.
	Path string
	// Secret: it comes from the secrets directory.
	Secret bool
	// Chain is the certificate with its chain as PEM.
	Chain []byte
	// Subjects are the names that it is valid for, NotAfter is when it ends.
	Subjects []string
	NotAfter time.Time
}

// Bundle is a certificate of the map, opened. Version tells its writes apart.
type Bundle struct {
	Name, Version string
	// PEM holds certificate, chain and private key. It is shared: never change it.
	PEM []byte
	// Problem is why it cannot be used on this replica, "" if it can.
	Problem string
}

// ReadCertificate describes a bundle of certificate, chain and private key, without Name
// and Path. The error says why the bundle cannot be used.
func ReadCertificate(data []byte) (Certificate, error) {
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return Certificate{}, fmt.Errorf("read certificate: %w", err)
	}
	leaf := pair.Leaf
	if leaf == nil { // a GODEBUG setting leaves it out
		if leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return Certificate{}, fmt.Errorf("read certificate: %w", err)
		}
	}
	c := Certificate{Subjects: slices.Clone(leaf.DNSNames), NotAfter: leaf.NotAfter}
	for _, ip := range leaf.IPAddresses {
		c.Subjects = append(c.Subjects, ip.String())
	}
	if len(c.Subjects) == 0 && leaf.Subject.CommonName != "" {
		c.Subjects = []string{leaf.Subject.CommonName}
	}
	for _, der := range pair.Certificate {
		c.Chain = append(c.Chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return c, nil
}

// bundleFile is where a certificate of the map is written. HAProxy reads further files
// whose names add ".key", ".ocsp" and the like to a bundle's: with an ending that no name
// can have, no certificate becomes such a companion of another, nor takes a service's file.
func bundleFile(name string) string { return "certs/" + name + "+map" }

// certify puts all certificates in order: local files, those of the map, those of services.
func (s *shape) certify(parts []*part) {
	if s.options.CrtList != "" {
		s.certifyListed(parts)
		return
	}
	taken := map[string]bool{}
	for _, b := range s.view.Bundles {
		err := s.present(b.Name, bundleFile(b.Name), b.PEM)
		if taken[b.Name] = err == nil; err != nil {
			s.problem("certificate %s is not used: %v", b.Name, err)
		}
	}
	// One of the map stands for the local file with its name, as if it had replaced it.
	for _, c := range s.view.Certificates {
		if c.Secret || !taken[c.Name] {
			s.certificates = append(s.certificates, c)
		}
	}
	for _, p := range parts {
		if p.svc.ServiceCert == nil || p.refusal != nil {
			continue
		}
		data, err := s.open(p.svc)
		if err == nil {
			err = s.present(certName(p.svc), "certs/"+p.svc.Name+".pem", data)
		}
		if err != nil {
			s.problem("service %s: serviceCert is not used: %v", p.svc.Name, err)
		}
	}
	slices.SortStableFunc(s.certificates, func(a, b Certificate) int {
		return cmp.Or(boolOrder(a.Secret, b.Secret), cmp.Compare(a.Name, b.Name))
	})
	if len(s.certificates) == 0 && s.view.Fallback != "" {
		s.certificates = []Certificate{{Path: s.view.Fallback}}
	}
	s.certificates = preferred(s.certificates, s.options.PreferredCertificate)
}

func (s *shape) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// present adds a certificate that is written with the configuration.
func (s *shape) present(name, file string, data []byte) error {
	c, err := ReadCertificate(data)
	if err != nil {
		return err
	}
	c.Name, c.Path = name, file
	s.certificates = append(s.certificates, c)
	s.certFiles = append(s.certFiles, File{file, data, secretMode})
	return nil
}

func (s *shape) open(svc *service.Service) ([]byte, error) {
	if s.options.OpenBox == nil {
		return nil, fmt.Errorf("this replica has no cluster key")
	}
	return s.options.OpenBox(svc.ServiceCert.Box)
}

// certName is the file name that Docker Flow Proxy gives a service's own certificate.
func certName(s *service.Service) string {
	if len(s.Destinations) > 0 && len(s.Destinations[0].ServiceDomain) > 0 {
		return s.Destinations[0].ServiceDomain[0]
	}
	return s.Name
}

// preferred moves the certificates whose name matches a pattern to the front, pattern by
// pattern.
func preferred(list []Certificate, patterns []string) []Certificate {
	var first []Certificate
	for _, pattern := range patterns {
		rest := list[:0:0]
		for _, c := range list {
			if matches(pattern, c.Name) || matches(pattern, path.Base(c.Path)) {
				first = append(first, c)
			} else {
				rest = append(rest, c)
			}
		}
		list = rest
	}
	return append(first, list...)
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// crtList lists the certificates; HAProxy takes the first for names that match none.
func (s *shape) crtList() []byte {
	var b strings.Builder
	for _, c := range s.certificates {
		b.WriteString(c.Path + "\n")
	}
	return []byte(b.String())
}

// named are the certificates but the self-signed one, with absolute paths.
func (s *shape) named(dir string) []Certificate {
	var list []Certificate
	for _, c := range s.certificates {
		if c.Name == "" {
			continue
		}
		if !filepath.IsAbs(c.Path) {
			c.Path = filepath.Join(dir, c.Path)
		}
		list = append(list, c)
	}
	return list
}
