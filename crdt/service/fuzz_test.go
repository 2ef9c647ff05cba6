package service_test

import (
	"net/url"
	"testing"

	"sluice/crdt/service"
)

// FuzzParse: no query makes Parse or Validate panic, and what they accept is stable.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"serviceName=go-demo&servicePath=/demo&port=8080",
		"serviceName=a&servicePath.1=^/(a|b)&pathType.1=path_reg&port.1=1&port.2=2&serviceDomain.2=*.b.com",
		"serviceName=a&port=1&reqMode=sni&srcPort=2&servicePath=a.&pathType=req_ssl_sni -i -m beg",
		"serviceName=a&port=1&servicePath=/&addReqHeader=X-A%20%25[src,lower]%20if%20{%20ssl_fc%20}&users=a:b&replicas=3",
		"serviceName=a&port=1&servicePath=/&reqPathSearchReplace=(?:/a){1,3},/b,g:/c,&serviceHeader=A:b:c",
	} {
		f.Add(seed, ",")
	}
	k := key(f)
	f.Fuzz(func(t *testing.T, raw, separator string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		r, err := service.Parse(q, service.Defaults{Separator: separator})
		if err == nil && !r.Remove {
			err = r.Service.Validate(everything())
		}
		if err != nil || r.Remove {
			return
		}
		if err := r.Service.Protect(k); err != nil {
			t.Fatal(err)
		}
		stable(t, r.Service, nil)
	})
}

// FuzzDecode: no body makes Decode panic, and what is valid is stable.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"serviceName":"s","destinations":[{"index":0,"port":1,"reqMode":"http","servicePath":["/a"]}]}`))
	f.Add([]byte(`{"serviceName":"s","destinations":[{"port":1}],"users":[{"name":"a","password":"b"}],"serviceCert":{"box":"YQ==","fingerprint":"00"}}`))
	k := key(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := service.Decode(data)
		if err != nil || s.Validate(everything()) != nil {
			return
		}
		if err := s.Protect(k); err != nil {
			t.Fatal(err)
		}
		stable(t, s, nil)
	})
}
