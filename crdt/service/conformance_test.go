package service_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"sluice/crdt/service"
)

// TestQueriesOfDockerFlowProxy: what its users send today is accepted or refused as
// the file says.
func TestQueriesOfDockerFlowProxy(t *testing.T) {
	data, err := os.ReadFile("testdata/queries.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct{ Case, Status, Query, Separator, DomainAlgo string }
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	label := strings.ReplaceAll(bundle(t), "\n", `\n`)
	for _, c := range cases {
		t.Run(c.Case, func(t *testing.T) {
			q, err := url.ParseQuery(strings.ReplaceAll(c.Query, "{CERTLABEL:a}", url.QueryEscape(label)))
			if err != nil {
				t.Fatal(err)
			}
			r, err := service.Parse(q, service.Defaults{Separator: c.Separator, DomainAlgo: c.DomainAlgo})
			if err == nil && !r.Remove {
				err = r.Service.Validate(service.Limits{})
			}
			if accepted := err == nil; accepted != (c.Status == "200" || c.Status == "any") {
				t.Fatalf("status %s, got error %v", c.Status, err)
			}
			if got := errors.Is(err, service.ErrIncomplete); got != (c.Status == "409") {
				t.Errorf("status %s, incomplete %v", c.Status, got)
			}
			stable(t, r.Service, err)
		})
	}
}

// stable checks that an accepted service survives protection, encoding and decoding.
func stable(t testing.TB, s service.Service, err error) {
	t.Helper()
	if err != nil || s.Destinations == nil {
		return
	}
	if err := s.Protect(key(t)); err != nil {
		t.Fatalf("protect: %v", err)
	}
	data, err := s.Canonical()
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	again, err := service.Decode(data)
	if err != nil {
		t.Fatalf("decode %s: %v", data, err)
	}
	if err := again.Validate(everything()); err != nil {
		t.Fatalf("validate %s: %v", data, err)
	}
	second, err := again.Canonical()
	if err != nil || string(second) != string(data) {
		t.Fatalf("not stable: %v\n%s\n%s", err, data, second)
	}
	if !service.Equal(s, again) || !service.EqualEncoded(data, second) {
		t.Fatalf("not equal to itself: %s", data)
	}
}
