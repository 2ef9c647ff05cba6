package service_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/crdt/service"
)

func TestCanonicalText(t *testing.T) {
	s := parsed(t, base("addResHeader=X-S <a&b>", "aclName=go-demo", "pathType=path_beg"), service.Defaults{})
	got, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"serviceName":"go-demo","destinations":[{"index":0,"port":8080,"reqMode":"http","servicePath":["/demo"]}],"addResHeader":[{"name":"X-S","value":"<a&b>"}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeBody(t *testing.T) {
	cert := bundle(t)
	encoded, err := json.Marshal(cert)
	if err != nil {
		t.Fatal(err)
	}
	got, err := service.Decode([]byte(`{"serviceName":"s","future":{"x":1},"destinations":[
		{"port":1,"servicePath":["/a"],"pathType":"path_beg"},{"port":2,"serviceDomain":["B.com"],"reqMode":"HTTP"}],
		"users":[{"name":"a","password":"p"},{"name":"b"}],"serviceCert":` + string(encoded) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	want := service.Service{Name: "s", Destinations: []service.Destination{
		{Index: 1, Port: 1, ReqMode: service.HTTP, ServicePath: []string{"/a"}},
		{Index: 2, Port: 2, ReqMode: service.HTTP, ServicePath: []string{"/"}, ServiceDomain: []string{"b.com"}},
	}, Users: []service.User{{Name: "a"}, {Name: "b"}}, Clear: service.Clear{Passwords: map[string]string{"a": "p"}, Cert: cert}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if err := got.Validate(service.Limits{}); err != nil {
		t.Error(err)
	}
}

func TestDecodeRefusals(t *testing.T) {
	for text, param := range map[string]string{
		``: "body", `[]`: "body", `{"serviceName":"s"`: "body", `{} {}`: "body", `nonsense`: "body",
		`{"serviceName":1}`: "serviceName", `{"destinations":{}}`: "destinations",
		`{"destinations":[{"port":"80"}]}`: "destinations", `{"isDefaultBackend":"yes"}`: "isDefaultBackend",
		`{"users":"a:b"}`: "users", `{"serviceCert":5}`: "serviceCert", `{"users":[{"name":"a","password":"1"},{"name":"a","password":"2"}]}`: "users",
	} {
		if _, err := service.Decode([]byte(text)); !names(err, param) {
			t.Errorf("%s: want an error about %s, got %v", text, param, err)
		}
	}
	if s, err := service.Decode([]byte(`null`)); err != nil || s.Validate(service.Limits{}) == nil {
		t.Errorf("null: %v", err)
	}
}

func TestKeys(t *testing.T) {
	if name, ok := service.Name(service.Key("go-demo")); name != "go-demo" || !ok {
		t.Error("a key does not lead back to its name")
	}
	for _, k := range []string{"go-demo", "overlay/go-demo", "service/", "service/a b", "service/.."} {
		if name, ok := service.Name(k); ok {
			t.Errorf("%s is a service called %q", k, name)
		}
	}
}

// TestCloneSharesNothing fills every field, so that a new one cannot be forgotten.
func TestCloneSharesNothing(t *testing.T) {
	var s service.Service
	fill(reflect.ValueOf(&s).Elem())
	c := s.Clone()
	if diff := cmp.Diff(s, c); diff != "" {
		t.Fatal(diff)
	}
	shared(t, "Service", reflect.ValueOf(s), reflect.ValueOf(c))
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("a"), reflect.ValueOf("b"))
	}
}

func shared(t *testing.T, path string, a, b reflect.Value) {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			shared(t, path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	case reflect.Slice:
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
		shared(t, path, a.Index(0), b.Index(0))
	case reflect.Pointer, reflect.Map:
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
	}
}

// TestLawsOfTheCanonicalForm: reading what was written gives the same meaning and the
// same bytes, whatever the parameters are.
func TestLawsOfTheCanonicalForm(t *testing.T) {
	k := key(t)
	rapid.Check(t, func(t *rapid.T) {
		r, err := service.Parse(anyQuery(t), service.Defaults{})
		if err != nil || r.Service.Validate(service.Limits{TemplatesDir: true}) != nil {
			return
		}
		s := r.Service
		if err := s.Protect(k); err != nil {
			t.Fatal(err)
		}
		data, err := s.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		again, err := service.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatalf("written (-), read (+):\n%s", diff)
		}
		if second, err := again.Canonical(); err != nil || string(second) != string(data) {
			t.Fatalf("%v\n%s\n%s", err, data, second)
		}
	})
}

func anyQuery(t *rapid.T) map[string][]string {
	q := base()
	all := service.Parameters()
	for range rapid.IntRange(0, 6).Draw(t, "count") {
		p := rapid.SampledFrom(all).Draw(t, "parameter")
		name := p.Name
		if p.Level == service.DestinationLevel {
			name += rapid.SampledFrom([]string{"", ".1", ".2"}).Draw(t, "index")
		}
		q.Set(name, rapid.SampledFrom([]string{"true", "1", "80", "/a,/b", "X-A 1", "X-A a if { ssl_fc }", "X:1", "a.com,*.B.com",
			"path", "path_reg -i", "hdr_end(host)", "tcp", "sni", "/a,/b,gi", "gzip", "a:b,c", "DNS", "dir/x", `"{{ }}" \ #`, "sticky-server",
			"http-tunnel", "roundrobin", "a, b ,,c", "301", rapid.String().Draw(t, "text")}).Draw(t, "value"))
	}
	return q
}
