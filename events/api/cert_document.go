package api

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/crdt/service"
)

const (
	// certPrefix is the kind of map entry that holds certificates.
	certPrefix = "cert/"
	// maxCertDocument bounds the document of a certificate in bytes, as that of a service.
	maxCertDocument = service.MaxEncoded
)

var (
	certName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	hexText  = regexp.MustCompile(`^[0-9a-f]{1,128}$`)
)

// SealedCertificate is the document of a certificate in the map. What is not sealed is for
// people and for comparing; only the box says what is served.
type SealedCertificate struct {
	Name string `json:"name"`
	// Box holds certificate, chain and private key as PEM, sealed with the cluster key.
	Box string `json:"box"`
	// Fingerprint is equal for equal bundles under one cluster key.
	Fingerprint string `json:"fingerprint"`
	// NotAfter is when the certificate ends, Subjects are the names it is valid for.
	NotAfter time.Time `json:"notAfter"`
	Subjects []string  `json:"subjects"`
}

// CertificateKey is the map key of the certificate called name.
func CertificateKey(name string) string { return certPrefix + name }

// CertificateName is the name of the certificate at key; false if key is that of something
// else.
func CertificateName(key string) (string, bool) { return strings.CutPrefix(key, certPrefix) }

// DecodeCertificate reads the document of the entry at key. Unknown members are ignored.
// The error says what is wrong; nothing of a wrong document may be used.
func DecodeCertificate(key string, value []byte) (SealedCertificate, error) {
	var c SealedCertificate
	name, ok := CertificateName(key)
	if !ok || !validCertName(name) {
		return c, fmt.Errorf("read certificate: the key %.140q is not that of a certificate", key)
	}
	if len(value) > maxCertDocument {
		return c, fmt.Errorf("read certificate %s: it is larger than %d bytes", name, maxCertDocument)
	}
	if err := json.Unmarshal(value, &c); err != nil {
		return c, fmt.Errorf("read certificate %s: %w", name, err)
	}
	_, err := base64.StdEncoding.DecodeString(c.Box)
	switch {
	case c.Name != name:
		return c, fmt.Errorf("read certificate %s: the document names itself %.140q", name, c.Name)
	case c.Box == "" || err != nil:
		return c, fmt.Errorf("read certificate %s: its box is no base64 text", name)
	case !hexText.MatchString(c.Fingerprint):
		return c, fmt.Errorf("read certificate %s: its fingerprint is not hexadecimal", name)
	}
	return c, nil
}

// encode writes the document without HTML escapes or white space.
func (c SealedCertificate) encode() ([]byte, error) {
	var b bytes.Buffer
	if err := encode(&b, c); err != nil {
		return nil, fmt.Errorf("encode certificate %s: %w", c.Name, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// sameCertificate compares documents by fingerprint: sealing one secret twice gives two boxes.
func sameCertificate(a, b []byte) bool {
	var left, right SealedCertificate
	if json.Unmarshal(a, &left) != nil || json.Unmarshal(b, &right) != nil {
		return false
	}
	return left.Name == right.Name && left.Fingerprint != "" && left.Fingerprint == right.Fingerprint
}

// validCertName admits what is safe as a file name, as a part of a subject and in a list
// of files.
func validCertName(name string) bool {
	return certName.MatchString(name) && name != "." && !strings.Contains(name, "..")
}

// bundle is a certificate with its private key, as it was sent.
type bundle struct {
	pem      []byte // the parts that are used, in a form of its own
	subjects []string
	notAfter time.Time
}

// bundleFault is why a body is no bundle; the zero value means that it is one.
type bundleFault struct{ problem, remedy string }

const bundleRemedy = "send the certificate first, then its chain and its unencrypted private key, as PEM"

// readBundle reads PEM and leaves out whatever is neither certificate, key nor parameter
// of a key exchange, so that equal bundles are equal bytes.
func readBundle(body []byte) (bundle, bundleFault) {
	var b bundle
	var certs, keys int
	for block, rest := pem.Decode(body); block != nil; block, rest = pem.Decode(rest) {
		switch kind := block.Type; {
		case kind == "CERTIFICATE":
			certs++
		case kind == "ENCRYPTED PRIVATE KEY", strings.HasSuffix(kind, "PRIVATE KEY") && block.Headers["DEK-Info"] != "":
			return b, bundleFault{"holds an encrypted private key", "decrypt it first, e.g. with openssl pkey"}
		case strings.HasSuffix(kind, "PRIVATE KEY"):
			keys++
		case kind != "DH PARAMETERS" && kind != "EC PARAMETERS":
			continue
		}
		b.pem = append(b.pem, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	switch {
	case certs == 0:
		return b, bundleFault{"holds no certificate", bundleRemedy}
	case keys == 0:
		return b, bundleFault{"holds no private key", bundleRemedy}
	case keys > 1:
		return b, bundleFault{"holds more than one private key", bundleRemedy}
	}
	return b.describe()
}

// describe matches the first certificate with the key and parses the others, which
// X509KeyPair does not look at.
func (b bundle) describe() (bundle, bundleFault) {
	pair, err := tls.X509KeyPair(b.pem, b.pem)
	if err != nil {
		return b, bundleFault{"is not a certificate with its private key: " + plainText(err.Error()), bundleRemedy}
	}
	for i, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return b, bundleFault{"holds a certificate that cannot be read, number " + strconv.Itoa(i+1) + ": " + plainText(err.Error()), bundleRemedy}
		}
		if i == 0 {
			b.subjects, b.notAfter = names(c), c.NotAfter.UTC()
		}
	}
	return b, bundleFault{}
}

// names are those that a certificate is valid for.
func names(c *x509.Certificate) []string {
	found := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		found = append(found, ip.String())
	}
	if len(found) == 0 {
		found = []string{c.Subject.CommonName}
	}
	return found
}

// plainText keeps an error of a library short and on one line: it may quote input.
func plainText(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "unreadable"
	}
	return shorten(text)
}
