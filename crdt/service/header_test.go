package service_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
)

func TestHeaderElements(t *testing.T) {
	for text, want := range map[string]service.Header{
		"X-A b":                         {Name: "X-A", Value: "b"},
		"X-A   b  c ":                   {Name: "X-A", Value: "b  c"},
		`X-A "a b"`:                     {Name: "X-A", Value: "a b"},
		`X-A 'a "b" \'`:                 {Name: "X-A", Value: `a "b" \`},
		`X-A "a \"b\" \\ \$c 'd' \q"`:   {Name: "X-A", Value: `a "b" \ $c 'd' \q`},
		`X-A "a if b"`:                  {Name: "X-A", Value: "a if b"},
		`X-A "a if b" if { ssl_fc }`:    {Name: "X-A", Value: "a if b", Condition: "if { ssl_fc }"},
		`X-A self\ \'none\'`:            {Name: "X-A", Value: "self 'none'"},
		`X-A W/"7"`:                     {Name: "X-A", Value: "W/7"},
		`X-A W/\"7\"`:                   {Name: "X-A", Value: `W/"7"`},
		`X-A "a b" c`:                   {Name: "X-A", Value: `"a b" c`},
		`X-A src 'self' x`:              {Name: "X-A", Value: "src 'self' x"},
		`X-A it's if { ssl_fc }`:        {Name: "X-A", Value: "it's", Condition: "if { ssl_fc }"},
		`X-A "a b`:                      {Name: "X-A", Value: `"a b`},
		`X-A a#b$c`:                     {Name: "X-A", Value: "a#b$c"},
		`X-A "$HOME #1"`:                {Name: "X-A", Value: "$HOME #1"},
		`X-A a\ b`:                      {Name: "X-A", Value: "a b"},
		`X-A a\nb\`:                     {Name: "X-A", Value: `a\nb\`},
		`X-A what\ if\ { ssl_fc }`:      {Name: "X-A", Value: "what if { ssl_fc }"},
		"X-A iffy unlessness":           {Name: "X-A", Value: "iffy unlessness"},
		"X-A b if { ssl_fc }":           {Name: "X-A", Value: "b", Condition: "if { ssl_fc }"},
		"X-A a if b unless  { ssl_fc }": {Name: "X-A", Value: "a if b", Condition: "unless { ssl_fc }"},
	} {
		s := parsed(t, base("setReqHeader="+text), service.Defaults{})
		if diff := cmp.Diff([]service.Header{want}, s.SetReqHeader); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", text, diff)
		}
	}
}

func TestHeaderParts(t *testing.T) {
	got := service.Header{Value: "a %[src]%{+Q}[req.hdr(X-A),lower] 50% %cix %ci-%{+Q,-X}r%% %%ci%20"}.Parts()
	want := []service.Part{{Text: "a "}, {Text: "src", Fetch: true}, {Text: "req.hdr(X-A),lower", Fetch: true, Flags: "+Q"}, {Text: " 50% %cix "},
		{Text: "ci", Variable: true}, {Text: "-"}, {Text: "r", Variable: true, Flags: "+Q,-X"}, {Text: "% %ci%20"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestFetchesOfTheList(t *testing.T) {
	for _, f := range service.Fetches() {
		expr := f.Name
		if f.Arg != "" {
			expr += "(X_Name)"
		}
		for param, ok := range map[string]bool{"setReqHeader": f.Request, "setResHeader": f.Response} {
			if err := refusal(base(param+"=X-A %["+expr+",lower]"), service.Limits{}); (err == nil) != ok {
				t.Errorf("%s=%s: %v", param, expr, err)
			}
		}
	}
	for _, c := range service.Converters() {
		expr := "%[src," + strings.Replace(c, "(n,c)", "(-1,:)", 1) + "]"
		s := service.Service{Name: "s", Destinations: []service.Destination{{Port: 1, ReqMode: service.HTTP, ServicePath: []string{"/"}}},
			SetReqHeader: []service.Header{{Name: "X-A", Value: expr}}}
		if err := s.Validate(service.Limits{}); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

func TestConditions(t *testing.T) {
	for _, condition := range []string{
		"if { ssl_fc }", "unless !{ ssl_fc }", "if ! { ssl_fc } { method GET POST }", "if { hdr(X-A) -m found } or { src 10.0.0.0/8 ::1 }",
		"if { path_beg -i /a /b } || { hdr(host) -m end .acme.com }", "if { path_reg ^/(a|b)$ }", "if { req.cook(id) x }",
		"if { ssl_c_verify 0 } { ssl_c_used }", "if { dst_port 80:90 }", "if { ssl_fc_sni a.com }",
	} {
		s := demo()
		s.AddReqHeader = []service.Header{{Name: "X-A", Value: "1", Condition: condition}}
		if err := s.Validate(service.Limits{}); err != nil {
			t.Errorf("%s: %v", condition, err)
		}
	}
	s := demo()
	s.AddResHeader = []service.Header{{Name: "X-A", Value: "1", Condition: "if { status 404 500:599 } { res.hdr(X-A) -i a }"}}
	if err := s.Validate(service.Limits{}); err != nil {
		t.Error(err)
	}
}

func TestSeparatorWithinFetch(t *testing.T) {
	s := parsed(t, base("setReqHeader=X-A %[src,lower],X-B ],X-C %[src] %[path,upper,lower] z,X-D 1"), service.Defaults{})
	want := []service.Header{{Name: "X-A", Value: "%[src,lower]"}, {Name: "X-B", Value: "]"},
		{Name: "X-C", Value: "%[src] %[path,upper,lower] z"}, {Name: "X-D", Value: "1"}}
	if diff := cmp.Diff(want, s.SetReqHeader); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}
