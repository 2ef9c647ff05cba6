package service

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"strings"

	"sluice/crdt/seal"
)

// maxCert is the greatest size of a certificate with chain and key in bytes.
const maxCert = 24 << 10

// Protect replaces s.Clear by digests and boxes made with k. Without anything to protect
// k may be nil. Errors: Errors naming the parameter that needs a cluster key, or what
// sealing returns; then s is unchanged.
//
// All users of a service share one salt, so that the proxy can look it up before it knows
// who is asking; equal passwords of two users still differ in their digests, since these
// cover the name.
func (s *Service) Protect(k *seal.Key) error {
	if len(s.Clear.Passwords) == 0 && s.Clear.Cert == "" {
		s.Clear = Clear{}
		return nil
	}
	if k == nil {
		return s.needKey()
	}
	cert := s.ServiceCert
	if s.Clear.Cert != "" {
		box, err := k.Seal([]byte(s.Clear.Cert))
		if err != nil {
			return fmt.Errorf("seal serviceCert: %w", err)
		}
		cert = &Sealed{Box: box, Fingerprint: k.Fingerprint([]byte(s.Clear.Cert))}
	}
	salt := k.Salt("users of " + s.Name)
	for i := range s.Users {
		u := &s.Users[i]
		if password, ok := s.Clear.Passwords[u.Name]; ok {
			header := "Basic " + base64.StdEncoding.EncodeToString([]byte(u.Name+":"+password))
			*u = User{Name: u.Name, Salt: salt, Digest: k.Digest(salt, header)}
		}
	}
	s.ServiceCert, s.Clear = cert, Clear{}
	return nil
}

func (s *Service) needKey() error {
	var p problems
	f := fault{"cannot be protected: there is no cluster key", "set --cluster-key-file or the secret sluice_cluster_key on every replica"}
	if len(s.Clear.Passwords) > 0 {
		p.add("users", "", f)
	}
	if s.Clear.Cert != "" {
		p.add("serviceCert", "", f)
	}
	return p.err()
}

// users judges names and secrets. No value of it is ever shown.
func (v *validator) users(s *Service) {
	v.length("users", len(s.Users))
	seen := make(map[string]bool, len(s.Users))
	for _, u := range s.Users {
		f := printable(u.Name)
		switch {
		case f != fault{}:
		case u.Name == "" || strings.Contains(u.Name, ":"):
			f = fault{"has a user without a proper name", "use a name that is not empty and has no colon"}
		case seen[u.Name]:
			f = fault{"names a user twice", "give each user once"}
		}
		seen[u.Name] = true
		v.add("users", "", f)
		v.add("users", "", u.secretFault(s.Clear.Passwords[u.Name]))
	}
}

func (u User) secretFault(password string) fault {
	switch {
	case u.Crypt != "" && !cryptPattern.MatchString(u.Crypt):
		return fault{"has a password that is no crypt(3) hash", "make one with mkpasswd, or leave usersPassEncrypted out"}
	case u.Crypt != "" && u.Digest != "":
		return fault{"has a user with digest and hash", "use one of them"}
	case (u.Digest == "") != (u.Salt == ""):
		return fault{"has a user with half a digest", "give salt and digest"}
	case u.Digest != "" && !(hexPattern.MatchString(u.Digest) && hexPattern.MatchString(u.Salt)):
		return fault{"has a digest that is not hexadecimal", "send the password instead"}
	}
	if f := printable(password); f != (fault{}) {
		return fault{"has a password that " + f.problem, f.remedy}
	}
	return fault{}
}

// cert judges serviceCert: a PEM bundle whose key belongs to its certificate.
func (v *validator) cert(s *Service) {
	if c := s.ServiceCert; c != nil {
		_, err := base64.StdEncoding.DecodeString(c.Box)
		if c.Box == "" || err != nil || !hexPattern.MatchString(c.Fingerprint) {
			v.add("serviceCert", "", fault{"is not a sealed certificate", "send the PEM text instead"})
		}
	}
	pem := s.Clear.Cert
	if pem == "" {
		return
	}
	if len(pem) > maxCert {
		v.add("serviceCert", "", fault{"is longer than 24576 bytes", "leave the root certificate out"})
		return
	}
	if _, err := tls.X509KeyPair([]byte(pem), []byte(pem)); err != nil {
		v.add("serviceCert", "", fault{"is not a certificate with its private key: " + printableText(err.Error()),
			`send certificate, chain and unencrypted key as PEM, line breaks as \n`})
	}
}

// printableText keeps an error of a library short and on one line: it may quote input.
func printableText(text string) string {
	if len(text) > 200 || printable(text) != (fault{}) {
		return "unreadable"
	}
	return text
}
