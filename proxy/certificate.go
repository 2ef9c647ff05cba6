package proxy

import (
	"crypto/tls"
	"fmt"
	"path"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// CheckPEM reports why data is no usable bundle of certificate, chain and private key.
func CheckPEM(data []byte) error {
	if _, err := tls.X509KeyPair(data, data); err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	return nil
}

// certify opens the services' own certificates and puts all certificates in order.
func (m *Model) certify(list []target) {
	seen := ""
	for i := range list {
		s := list[i].svc
		if s.ServiceCert == nil || s.Name == seen {
			continue
		}
		seen = s.Name
		data, err := m.open(s)
		if err != nil {
			m.note("service %s: serviceCert is not used: %v", s.Name, err)
			continue
		}
		m.serviceCerts = append(m.serviceCerts, File{"certs/" + certName(s) + ".pem", data, secretMode})
	}
	m.certificates = slices.Clone(m.view.Certificates)
	for _, f := range m.serviceCerts {
		m.certificates = append(m.certificates, f.Name)
	}
	if len(m.certificates) == 0 && m.view.Fallback != "" {
		m.certificates = []string{m.view.Fallback}
	}
	m.certificates = preferred(m.certificates, m.options.PreferredCertificate)
}

func (m *Model) open(s *service.Service) ([]byte, error) {
	if m.options.OpenBox == nil {
		return nil, fmt.Errorf("this replica has no cluster key")
	}
	data, err := m.options.OpenBox(s.ServiceCert.Box)
	if err != nil {
		return nil, err
	}
	return data, CheckPEM(data)
}

func certName(s *service.Service) string { return s.Name }

// preferred moves the files whose name matches a pattern to the front, pattern by pattern.
func preferred(files, patterns []string) []string {
	var first []string
	for _, pattern := range patterns {
		rest := files[:0:0]
		for _, file := range files {
			if ok, err := path.Match(pattern, path.Base(file)); ok && err == nil {
				first = append(first, file)
			} else {
				rest = append(rest, file)
			}
		}
		files = rest
	}
	return append(first, files...)
}

// crtList lists the certificates; HAProxy takes the first for names that match none.
func (m *Model) crtList() []byte {
	var b strings.Builder
	for _, file := range m.certificates {
		b.WriteString(file + "\n")
	}
	return []byte(b.String())
}
