package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/crdt/seal"
	"sluice/crdt/service"
	"sluice/events"
)

// Certificates is what this replica's HAProxy makes of certificates. Safe for concurrent use.
type Certificates interface {
	// Certificates are those that it presents now.
	Certificates() []Certificate
	// CheckCertificate asks HAProxy about a bundle of certificate, chain and private key. An
	// error with a method Refused() (param, reason string) is the bundle's fault.
	CheckCertificate(ctx context.Context, pem []byte) error
}

// Certificate is a certificate that HAProxy presents, without its private key.
type Certificate struct {
	Name, Dir string
	// Chain is the certificate with its chain as PEM.
	Chain    string
	Subjects []string
	NotAfter time.Time
}

// noCertificates stands for a proxy that has no opinion.
type noCertificates struct{}

func (noCertificates) Certificates() []Certificate                    { return nil }
func (noCertificates) CheckCertificate(context.Context, []byte) error { return nil }

// dfpCerts has the field names of Docker Flow Proxy's answers about certificates.
type dfpCerts struct {
	Status, Message string
	Certs           []dfpCert
}

type dfpCert struct {
	ServicePort, ProxyServiceName, CertsDir, CertContent string
	// Docker Flow Proxy has no such fields.
	Subjects []string
	NotAfter time.Time
}

// putCert publishes the certificate of the body. A form body is no exception: that is what
// curl calls any body.
func (s *Server) putCert(w http.ResponseWriter, r *http.Request, c caller) error {
	name, distribute, wait, err := certParameters(r)
	if err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	b, err := s.acceptCert(name, body)
	if err != nil {
		return err
	}
	value, err := b.document(name, s.cfg.Key)
	if err != nil {
		return err
	}
	key := CertificateKey(name)
	if now, ok := s.cfg.Replica.Entry(key); !ok || !now.Live() || !sameCertificate(now.Value, value) {
		if err := s.cfg.Certificates.CheckCertificate(r.Context(), b.pem); err != nil {
			return fmt.Errorf("check certificate %s: %w", name, err)
		}
	}
	receipt, err := s.write(r.Context(), wait, events.Change{
		Key: key, Value: value, Equal: sameCertificate, Actor: c.actor, Origin: c.origin, TraceParent: c.trace,
	})
	return answerCert(w, distribute, receipt, err)
}

// deleteCert removes a certificate that was sent; an unknown one is fine.
func (s *Server) deleteCert(w http.ResponseWriter, r *http.Request, c caller) error {
	name, distribute, wait, err := certParameters(r)
	if err != nil {
		return err
	}
	if p := checkCertName(name); len(p) > 0 {
		return p
	}
	if _, known := s.cfg.Replica.Entry(CertificateKey(name)); !known && s.presents(name) {
		return newProblem(http.StatusConflict, "certName: "+name+" is a file of this replica or belongs to a service: remove the file, or the service's serviceCert")
	}
	receipt, err := s.write(r.Context(), wait, events.Change{
		Key: CertificateKey(name), Delete: true, Actor: c.actor, Origin: c.origin, TraceParent: c.trace,
	})
	return answerCert(w, distribute, receipt, err)
}

func (s *Server) presents(name string) bool {
	for _, c := range s.cfg.Certificates.Certificates() {
		if c.Name == name {
			return true
		}
	}
	return false
}

func answerCert(w http.ResponseWriter, distribute bool, receipt Receipt, err error) error {
	if err != nil {
		return err
	}
	answer := dfpCerts{Status: "OK"}
	if distribute {
		answer.Message = receipt.distributed()
	}
	return writeJSON(w, http.StatusOK, answer)
}

// certParameters are those of the query; the body is the certificate.
func certParameters(r *http.Request) (name string, distribute bool, wait waiting, err error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", false, wait, badParam("query", err.Error(), "percent-encode the values")
	}
	if distribute, err = boolean(q, "distribute"); err != nil {
		return "", false, wait, err
	}
	wait, err = dfpWaiting(q, distribute)
	return q.Get("certName"), distribute, wait, err
}

// acceptCert reports everything that is wrong at once.
func (s *Server) acceptCert(name string, body []byte) (bundle, error) {
	problems := checkCertName(name)
	b, fault := readBundle(body)
	if len(body) == 0 {
		fault = bundleFault{"is empty", bundleRemedy}
	}
	if fault != (bundleFault{}) {
		problems = append(problems, service.FieldError{Param: "body", Problem: fault.problem, Remedy: fault.remedy})
	}
	if s.cfg.Key == nil {
		problems = append(problems, service.FieldError{Param: "body", Problem: "cannot be protected: there is no cluster key",
			Remedy: "set --cluster-key-file or the secret sluice_cluster_key on every replica"})
	}
	if len(problems) > 0 {
		return bundle{}, problems
	}
	return b, nil
}

func checkCertName(name string) service.Errors {
	switch {
	case name == "":
		return service.Errors{{Param: "certName", Problem: "is missing", Remedy: "name the certificate, e.g. certName=acme.com.pem"}}
	case !validCertName(name):
		return service.Errors{{Param: "certName", Value: firstOf(name), Problem: "is not a name",
			Remedy: `use 1 to 128 letters, digits, "_", "-" or ".", without two dots in a row`}}
	}
	return nil
}

// firstOf is as much of a refused name as an answer shows.
func firstOf(name string) string {
	const most = 60
	return strings.ToValidUTF8(name[:min(len(name), most)], "")
}

// document seals the bundle.
func (b bundle) document(name string, key *seal.Key) ([]byte, error) {
	box, err := key.Seal(b.pem)
	if err != nil {
		return nil, fmt.Errorf("seal certificate %s: %w", name, err)
	}
	c := SealedCertificate{Name: name, Box: box, Fingerprint: key.Fingerprint(b.pem), NotAfter: b.notAfter, Subjects: b.subjects}
	value, err := c.encode()
	if err != nil {
		return nil, err
	}
	if len(value) > maxCertDocument {
		return nil, badParam("body", "is larger than "+strconv.Itoa(maxCertDocument)+" bytes once it is sealed", "leave the root certificate out")
	}
	return value, nil
}

// listCerts shows what this replica presents, and what of the state it cannot.
func (s *Server) listCerts(w http.ResponseWriter, _ *http.Request, _ caller) error {
	answer := dfpCerts{Status: "OK", Certs: []dfpCert{}}
	shown := map[string]bool{}
	for _, c := range s.cfg.Certificates.Certificates() {
		shown[c.Name] = true
		answer.Certs = append(answer.Certs, dfpCert{
			ProxyServiceName: c.Name, CertsDir: c.Dir, CertContent: c.Chain, Subjects: list(c.Subjects), NotAfter: c.NotAfter.UTC(),
		})
	}
	for _, e := range s.cfg.Replica.Entries(certPrefix) {
		c, err := DecodeCertificate(e.Key, e.Value)
		if err == nil && e.Live() && !shown[c.Name] {
			answer.Certs = append(answer.Certs, dfpCert{ProxyServiceName: c.Name, Subjects: list(c.Subjects), NotAfter: c.NotAfter})
		}
	}
	return writeJSON(w, http.StatusOK, answer)
}
