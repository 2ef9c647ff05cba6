package service_test

import (
	"net/url"
	"strings"
	"testing"

	"sluice/crdt/service"
)

// TestNamesThatAreNoParameters: each is refused with the one it is like.
func TestNamesThatAreNoParameters(t *testing.T) {
	for name, like := range map[string]string{
		"denyHtpp": "denyHttp", "denyHttps": "denyHttp", "user": "users", "servicepath": "servicePath", "port.x": "port", "port.0": "port", "port.01": "port",
		"users.1": "users", "Servicepath.2": "servicePath", "a\nb": "", "": "",
	} {
		err := service.CheckNames(url.Values{name: {"x"}, "port": {"80"}})
		if err == nil || !strings.Contains(err.Error(), "the nearest one is "+like) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", name, err)
		}
	}
	q := url.Values{"addHeader": {""}, "SERVICENAME": {""}, "port.1000": {""}, "distribute": {""}}
	for _, p := range service.Parameters() {
		q.Set(p.Name, "")
	}
	if err := service.CheckNames(q); err != nil {
		t.Error(err)
	}
}

// TestFieldsThatAreNotKnown: people may not send them, the map may hold them.
func TestFieldsThatAreNotKnown(t *testing.T) {
	for body, want := range map[string]string{
		`{"user":[]}`:                               "user is not a field; the nearest one is users",
		`{"denyHttp":true}`:                         "denyHttp is not a field here; put it into an element of destinations",
		`{"destinations":[{"users":[]}]}`:           "users is not a field here; put it beside destinations",
		`{"users":[{"name":"a","passwort":"b"}]}`:   "passwort is not a field; the nearest one is password",
		`{"users":[{"name":"a","secret":"b"}]}`:     `users has a secret that is not "kept"; write password, or name alone`,
		`{"setReqHeader":[{"name":"a","valu":""}]}`: "valu is not a field; the nearest one is value",
		"{\"a\\nb\":1}":                             "",
	} {
		if _, err := service.ParseBody([]byte(body)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", body, err)
		}
		if _, err := service.Decode([]byte(body)); err != nil && !strings.Contains(body, "secret") {
			t.Errorf("%s of the map: %v", body, err)
		}
	}
}
