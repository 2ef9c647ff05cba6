package service_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/crdt/seal"
	"sluice/crdt/service"
)

// query builds values from "name=value" pairs; values are not percent-encoded.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		q.Add(name, value)
	}
	return q
}

// base is a valid query with the given pairs added or replaced.
func base(pairs ...string) url.Values {
	q := query("serviceName=go-demo", "servicePath=/demo", "port=8080")
	for name, values := range query(pairs...) {
		q[name] = values
	}
	return q
}

// parsed parses and validates, and fails the test on any problem.
func parsed(t testing.TB, q url.Values, d service.Defaults) service.Service {
	t.Helper()
	r, err := service.Parse(q, d)
	if err != nil {
		t.Fatalf("parse %v: %v", q, err)
	}
	if err := r.Service.Validate(everything()); err != nil {
		t.Fatalf("validate %v: %v", q, err)
	}
	return r.Service
}

// everything is the most permissive door.
func everything() service.Limits { return service.Limits{AllowRaw: true, TemplatesDir: true} }

// refusal is what Parse or Validate says about q, nil if nothing.
func refusal(q url.Values, l service.Limits) error {
	r, err := service.Parse(q, service.Defaults{})
	if err != nil || r.Remove {
		return err
	}
	return r.Service.Validate(l)
}

// names reports whether err is about param, with or without an index.
func names(err error, param string) bool {
	var list service.Errors
	if !errors.As(err, &list) {
		return false
	}
	for _, one := range list {
		name, _, _ := strings.Cut(one.Param, ".")
		if one.Param == param || name == param {
			return true
		}
	}
	return false
}

// itoa is here for the names of indexed parameters.
func itoa(i int) string { return strconv.Itoa(i) }

func key(t testing.TB) *seal.Key {
	t.Helper()
	k, err := seal.Parse(strings.Repeat("0123456789abcdef", 3))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// bundle is a fresh certificate with its key as PEM.
func bundle(t testing.TB) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.test"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"a.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := pem.Encode(&b, block); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
