package service_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/crdt/service"
)

func TestProtect(t *testing.T) {
	cert := bundle(t)
	s := parsed(t, base("users=admin:p&w+x, guest", "serviceCert="+cert), service.Defaults{})
	again := s.Clone()
	if _, err := s.Canonical(); !errors.Is(err, service.ErrClear) {
		t.Fatalf("encoded in the clear: %v", err)
	}
	k := key(t)
	for _, one := range []*service.Service{&s, &again} {
		if err := one.Protect(k); err != nil {
			t.Fatal(err)
		}
	}
	data, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(data); strings.Contains(text, "p&w+x") || strings.Contains(text, "PRIVATE") {
		t.Errorf("a secret is readable in %s", text)
	}
	u := s.Users[0]
	header := "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:p&w+x"))
	if u.Digest != k.Digest(u.Salt, header) || s.Users[1].Digest != "" {
		t.Errorf("users: %+v", s.Users)
	}
	if plain, err := k.Open(s.ServiceCert.Box); err != nil || string(plain) != cert {
		t.Errorf("the certificate cannot be opened again: %v", err)
	}
	if !service.Equal(s, again) {
		t.Error("the same secrets protected twice are not equal")
	}
	again.Users[0].Digest = strings.Repeat("0", 64)
	if service.Equal(s, again) {
		t.Error("other passwords are equal")
	}
}

func TestProtectNeedsKey(t *testing.T) {
	s := parsed(t, base("users=admin:password"), service.Defaults{})
	if err := s.Protect(nil); !names(err, "users") || !strings.Contains(err.Error(), "sluice_cluster_key") {
		t.Errorf("got %v", err)
	}
	s = parsed(t, base("serviceCert="+bundle(t)), service.Defaults{})
	if err := s.Protect(nil); !names(err, "serviceCert") {
		t.Errorf("got %v", err)
	}
	s = parsed(t, base("users=admin:$6$abc$0123456789", "usersPassEncrypted=true"), service.Defaults{})
	if err := s.Protect(nil); err != nil {
		t.Errorf("nothing to protect: %v", err)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, pairs := range [][]string{
		{"users=a:" + secret + ",a:" + secret}, {"users=a:" + secret + "\x01"}, {"users=a:" + secret, "usersPassEncrypted=true"},
		{"users=" + strings.Repeat(secret, 6000)}, {"serviceCert=" + secret}, {"serviceCert=" + strings.Repeat(secret, 6000)},
		{"users=:" + secret},
	} {
		err := refusal(base(pairs...), everything())
		if pairs[0] == "users=a:"+secret {
			continue // a crypt hash may look like anything
		}
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
			t.Errorf("%.40v: %v", pairs, err)
		}
	}
}
