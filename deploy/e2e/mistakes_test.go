package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestMistakesOfDockerFlowProxy: what it gets wrong and no conformance case covers.
func TestMistakesOfDockerFlowProxy(t *testing.T) {
	r := newReplica(t, "local", "--allow-raw-config")
	r.env = append(r.env, "RECONFIGURE_ATTEMPTS=none")
	r.start(t).ready(t, 2*patience)
	one, two := startBackend(t, "one"), startBackend(t, "two")
	r.reconfigure(t, "bystander", one)
	for name, run := range map[string]func(*testing.T, *replica, int){
		"a colon in the value of serviceHeader":     headerWithColon,
		"more than ten indexes":                     twelveIndexes,
		"a renamed aclName leaves nothing":          renamedACL,
		"raw text keeps quotes and braces":          rawText,
		"a redirect needs a domain":                 redirectWithoutDomain,
		"templates are no files of the host":        templateOfTheHost,
		"a bad certificate breaks no reload":        badCertificate,
		"passwords are in no answer":                noPasswords,
		"the https port serves no plain requests":   plainOnTLS,
		"a reload loads, whatever the attempts are": reloadLoads,
		"well-known paths beside the root":          wellKnownAndRoot,
	} {
		t.Run(name, func(t *testing.T) {
			run(t, r, two)
			if err := r.routed("/bystander", "one"); err != nil {
				t.Errorf("another service: %v", err)
			}
		})
	}
}

func headerWithColon(t *testing.T, r *replica, port int) {
	r.reconfigure(t, "colon", port, "serviceHeader", "X-Time:12:30")
	if a := r.request("/colon", "X-Time: 12:30"); a.Status != http.StatusOK {
		t.Errorf("with the header: %v", a)
	}
	for _, header := range []string{"X-Time: 12", "X-Other: 12:30"} {
		if a := r.request("/colon", header); a.Status != http.StatusServiceUnavailable {
			t.Errorf("with %s: %v", header, a)
		}
	}
}

func twelveIndexes(t *testing.T, r *replica, port int) {
	q := url.Values{"serviceName": {"twelve"}, "outboundHostname": {"127.0.0.1"}, "port": {fmt.Sprint(port)}}
	for i := 1; i <= 12; i++ {
		q.Set(fmt.Sprintf("servicePath.%d", i), fmt.Sprintf("/number%d-", i))
	}
	mustStatus(t, r.dfp("reconfigure", q), http.StatusOK)
	if err := r.routed("/number12-", "two"); err != nil {
		t.Error(err)
	}
}

func renamedACL(t *testing.T, r *replica, port int) {
	r.reconfigure(t, "renamed", port, "aclName", "before")
	r.reconfigure(t, "renamed", port, "aclName", "after")
	if config := mustStatus(t, r.dfp("config", nil), http.StatusOK).Body; strings.Contains(config, "before-be") || !strings.Contains(config, "after-be") {
		t.Errorf("the configuration: %s", config)
	}
	r.remove(t, "renamed")
	if config := mustStatus(t, r.dfp("config", nil), http.StatusOK).Body; strings.Contains(config, "after-be") {
		t.Error("it was removed without aclName, and its backend is left")
	}
}

func rawText(t *testing.T, r *replica, port int) {
	r.reconfigure(t, "raw", port, "backendExtra", `http-response set-header X-Raw "{{.}} & 'a' <b> +"`)
	if got, want := r.request("/raw").Header.Get("X-Raw"), "{{.}} & 'a' <b> +"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func redirectWithoutDomain(t *testing.T, r *replica, port int) {
	a := r.dfp("reconfigure", demo("moved", port, "redirectFromDomain", "old.com"))
	says(t, mustStatus(t, a, http.StatusBadRequest).Body, "redirectFromDomain", "serviceDomain")
}

func templateOfTheHost(t *testing.T, r *replica, port int) {
	a := mustStatus(t, r.dfp("reconfigure", demo("template", port, "templateFePath", "/etc/passwd", "templateBePath", "/etc/passwd")), http.StatusBadRequest)
	says(t, a.Body, "templateFePath", "templateBePath")
	if strings.Contains(a.Body, "root:") {
		t.Errorf("the file's content: %s", a.Body)
	}
}

func badCertificate(t *testing.T, r *replica, _ int) {
	a := send(t.Context(), http.MethodPut, r.url("/v1/docker-flow-proxy/cert?certName=bad.pem"), "garbage")
	says(t, mustStatus(t, a, http.StatusBadRequest).Body, "PEM")
	mustStatus(t, r.dfp("reload", url.Values{"recreate": {"true"}}), http.StatusOK)
}

func noPasswords(t *testing.T, r *replica, port int) {
	const word = "a-word-that-nobody-sees"
	a := mustStatus(t, r.dfp("reconfigure", demo("secret", port, "users", "ann:"+word)), http.StatusOK)
	all := a.Body + r.dfp("config", url.Values{"type": {"json"}}).Body + r.dfp("config", nil).Body + r.dfp("certs", nil).Body +
		get(t, r.url("/v1/services/secret")).Body + get(t, r.url("/v1/events")).Body + r.output()
	if strings.Contains(all, word) {
		t.Error("the password is shown")
	}
	mustStatus(t, r.request("/secret"), http.StatusUnauthorized)
}

func plainOnTLS(t *testing.T, r *replica, _ int) {
	a := send(t.Context(), http.MethodGet, "http://"+loopback(r.https)+"/bystander", "")
	if a.Status == http.StatusOK {
		t.Errorf("a plain request is routed: %v", a)
	}
}

func reloadLoads(t *testing.T, r *replica, _ int) {
	before, err := r.own()
	if err != nil {
		t.Fatal(err)
	}
	mustStatus(t, r.dfp("reload", url.Values{"recreate": {"true"}}), http.StatusOK)
	// The list of replicas follows a little later.
	eventually(t, patience, "another generation", func() error {
		after, err := r.own()
		if err == nil && after.Generation <= before.Generation {
			err = fmt.Errorf("generation %d after %d", after.Generation, before.Generation)
		}
		return err
	})
}

func wellKnownAndRoot(t *testing.T, r *replica, port int) {
	r.reconfigure(t, "front", port, "servicePath", "/.well-known/acme,/", "aclName", "00-front")
	for _, path := range []string{"/.well-known/acme", "/anything"} {
		if err := r.routed(path, "two"); err != nil {
			t.Error(err)
		}
	}
	if err := r.routed("/bystander", "one"); err != nil {
		t.Errorf("the root swallows: %v", err)
	}
	r.remove(t, "front")
}
