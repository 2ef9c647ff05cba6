package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

const (
	writeToken = "write-token-0123456789"
	readToken  = "read-token-0123456789"
)

// serve runs the real API over b, with tokens.
func serve(t testing.TB, b *apitest.Backend, changes ...func(*api.Config)) string {
	t.Helper()
	tokens, err := api.ParseTokens([]byte("ci:" + writeToken + "\nviewer:" + readToken + ":read\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := api.Config{
		Addr: "127.0.0.1:0", Replica: b, Waiter: b, Replicas: b, Proxy: b, History: b,
		Defaults: service.Defaults{Separator: ","}, Tokens: tokens, Log: zerolog.Nop(),
	}
	for _, change := range changes {
		change(&cfg)
	}
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

// result of one command line.
type result struct {
	code     int
	out, err string
}

func sluice(t testing.TB, environ []string, in string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	p := program{version: "v1.2.3", environ: environ, in: strings.NewReader(in), out: &out, err: &errOut}
	code := execute(t.Context(), &p, args)
	return result{code, out.String(), errOut.String()}
}

func environment(base, token string) []string {
	return []string{"SLUICE_API=" + base, "SLUICE_TOKEN=" + token}
}

func TestReconfigureShowRemove(t *testing.T) {
	env := environment(serve(t, apitest.New()), writeToken)
	must := func(want string, args ...string) string {
		t.Helper()
		got := sluice(t, env, "", args...)
		if got.code != exitDone || !strings.Contains(got.out, want) {
			t.Fatalf("%v: exit %d, %q %q, want %q", args, got.code, got.out, got.err, want)
		}
		return got.out
	}
	must("durable at sequence 1; live on all replicas", "reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo", "--service-path", "/api", "--set", "serviceDomain=acme.com", "--https-only")
	must("unchanged", "reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo,/api", "--service-domain", "acme.com", "--https-only=true", "--wait", "none")
	must("acme.com/demo acme.com/api", "services")
	file := filepath.Join(t.TempDir(), "go-demo.yaml")
	shown := must("serviceName: go-demo", "show", "go-demo")
	if err := os.WriteFile(file, []byte(strings.Replace(shown, "/api", "/other", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	must("durable at sequence 2", "reconfigure", "-f", file)
	must(`"/other"`, "show", "go-demo", "--output", "json")
	must("durable at sequence 3", "remove", "go-demo")
	must("unchanged", "remove", "go-demo")
	log := must("service.removed", "log", "go-demo", "--since", "1h")
	for _, want := range []string{"SEQ", "ci", "cli", "service/go-demo", "applied"} {
		if !strings.Contains(log, want) {
			t.Errorf("log has no %q: %s", want, log)
		}
	}
	lines := strings.Split(strings.TrimSpace(must("", "log", "--after", "2", "-o", "json")), "\n")
	var rec events.Record
	if err := json.Unmarshal([]byte(lines[0]), &rec); err != nil || len(lines) != 1 || rec.Seq != 3 {
		t.Errorf("log as JSON: %v %v", lines, err)
	}
}

func TestChangesWithoutTheLog(t *testing.T) {
	b := apitest.New()
	b.NoLog = true
	env := environment(serve(t, b), writeToken)
	for want, args := range map[string][]string{
		"accepted; the log gets it": {"reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo"},
		"was not asked":             {"remove", "never"},
	} {
		if got := sluice(t, env, "", args...); got.code != exitDone || !strings.Contains(got.out, want) || strings.Contains(got.out, "live") {
			t.Errorf("%v: exit %d, %q %q, want %q", args, got.code, got.out, got.err, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	good := []string{"reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo"}
	tests := []struct {
		name  string
		set   func(*apitest.Backend)
		token string
		args  []string
		code  int
		err   string
	}{
		{"done", nil, writeToken, good, exitDone, ""},
		{"not applied everywhere", func(b *apitest.Backend) { b.WaitResult = &events.WaitResult{Missing: []string{"two"}} }, writeToken, good, exitNotApplied, "not live in time on two"},
		{"log away", func(b *apitest.Backend) { b.WriteErr = events.ErrUnavailable }, writeToken, good, exitFailed, "unavailable"},
		{"unknown", func(b *apitest.Backend) { b.WriteErr = events.ErrUnknownOutcome }, writeToken, good, exitFailed, "sent-1"},
		{"no token", nil, "", good, exitRefused, "--token-file, or put the token into SLUICE_TOKEN"},
		{"wrong token", nil, writeToken + "x", good, exitRefused, "--token-file, or put the token into SLUICE_TOKEN"},
		{"may only read", nil, readToken, good, exitRefused, "may only read"},
		{"invalid", nil, writeToken, []string{"reconfigure", "go-demo", "--port", "x", "--service-path", "no slash"}, exitRefused, "port"},
		{"incomplete", nil, writeToken, []string{"reconfigure", "go-demo", "--port", "80"}, exitRefused, "servicePath"},
		{"lost condition", nil, writeToken, append(good[:len(good):len(good)], "--if-match", "0000000000000001-8000000000000001"), exitRefused, "precondition"},
		{"bad name", nil, writeToken, []string{"remove", "../x"}, exitRefused, "serviceName"},
		{"not there", nil, writeToken, []string{"show", "nope"}, exitFailed, `no service "nope"`},
		{"no such flag", nil, writeToken, []string{"services", "--nope"}, exitFailed, "unknown flag"},
		{"bad output", nil, writeToken, []string{"services", "-o", "xml"}, exitFailed, "--output"},
		{"no name", nil, writeToken, []string{"reconfigure", "--port", "80"}, exitFailed, "name the service"},
		{"bad set", nil, writeToken, []string{"reconfigure", "a", "--set", "port"}, exitFailed, "--set"},
		{"bad since", nil, writeToken, []string{"log", "--since", "yesterday"}, exitFailed, "--since"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := apitest.New()
			if tt.set != nil {
				tt.set(b)
			}
			got := sluice(t, environment(serve(t, b), tt.token), "", tt.args...)
			if got.code != tt.code || !strings.Contains(got.err, tt.err) {
				t.Errorf("exit %d, want %d: %s%s", got.code, tt.code, got.out, got.err)
			}
		})
	}
}

func TestUnreachableAPI(t *testing.T) {
	for _, args := range [][]string{{"services"}, {"healthcheck"}, {"status"}} {
		if got := sluice(t, nil, "", append(args, "--api", "http://127.0.0.1:1")...); got.code != exitFailed || !strings.Contains(got.err, "--api") {
			t.Errorf("%v: exit %d %q", args, got.code, got.err)
		}
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(readToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := serve(t, apitest.New())
	if got := sluice(t, nil, "", "services", "--api", base, "--token-file", path); got.code != exitDone {
		t.Errorf("exit %d %s", got.code, got.err)
	}
	if got := sluice(t, nil, "", "services", "--api", base, "--token-file", path+"x"); got.code != exitFailed || !strings.Contains(got.err, "--token-file") {
		t.Errorf("exit %d %s", got.code, got.err)
	}
}

func TestDefinitionFromStandardInput(t *testing.T) {
	env := environment(serve(t, apitest.New()), writeToken)
	tests := []struct {
		name, in string
		args     []string
		code     int
		want     string
	}{
		{"yaml", "destinations:\n- port: 8080\n  servicePath: [/demo]\n", []string{"go-demo"}, exitDone, "durable"},
		{"json", `{"serviceName":"other","destinations":[{"port":80,"servicePath":["/a"]}]}`, nil, exitDone, "durable"},
		{"two names", "serviceName: a", []string{"b"}, exitFailed, "make them equal"},
		{"no name", "destinations: []", nil, exitFailed, "name the service"},
		{"empty", "", nil, exitFailed, "want a definition"},
		{"no mapping", "- a", nil, exitFailed, "read -"},
		{"with parameters", "serviceName: a", []string{"a", "--port", "80"}, exitFailed, "leave out the other parameters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sluice(t, env, tt.in, append([]string{"reconfigure", "-f", "-"}, tt.args...)...)
			if got.code != tt.code || !strings.Contains(got.out+got.err, tt.want) {
				t.Errorf("exit %d: %s%s", got.code, got.out, got.err)
			}
		})
	}
}

func TestAParameterGivenTwice(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(secret, []byte("me:from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := sluice(t, nil, "", "reconfigure", "go-demo", "--dry-run", "-o", "json", "--port", "1", "--port", "2", "--service-path", "/a", "--service-path", "/b",
		"--req-path-search-replace", "/a,/b", "--req-path-search-replace", "/c,/d", "--users", "@"+secret)
	for _, want := range []string{`"port": 2`, `"/b"`, `"search": "/c"`, `"name": "me"`} {
		if got.code != exitDone || !strings.Contains(got.out, want) {
			t.Errorf("exit %d, want %s in %s%s", got.code, want, got.out, got.err)
		}
	}
}

func TestDryRunSendsNothing(t *testing.T) {
	got := sluice(t, []string{"SLUICE_API=http://127.0.0.1:1"}, "", "reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo", "--users", "me:secret-password", "--dry-run")
	if got.code != exitDone || !strings.Contains(got.out, "serviceName: go-demo") || !strings.Contains(got.err, "nothing was sent") {
		t.Errorf("exit %d: %s%s", got.code, got.out, got.err)
	}
	if strings.Contains(got.out+got.err, "secret-password") {
		t.Errorf("a password is shown: %s%s", got.out, got.err)
	}
	bad := sluice(t, nil, "", "reconfigure", "go-demo", "--port", "99999", "--service-path", "/demo", "--dry-run")
	if bad.code != exitRefused || !strings.Contains(bad.err, "port") {
		t.Errorf("exit %d: %s", bad.code, bad.err)
	}
}

func TestStatus(t *testing.T) {
	b := apitest.New()
	b.SetStatus(events.Status{Name: "one", StreamID: "log-1", Seq: 7, Live: 6, Digest: "0123456789abcdef", Stale: "the log is unavailable",
		InsecureAPI: true, Quarantine: []events.Quarantined{{Service: "bad\x1b[31m", Version: "v2", Reason: "no such file"}}})
	got := sluice(t, environment(serve(t, b), readToken), "", "status")
	for _, want := range []string{"one", "0123456789ab", "one is stale: the log is unavailable", "--tokens-file", "does not serve version v2 of bad?[31m (serving: none): no such file"} {
		if got.code != exitDone || !strings.Contains(got.out, want) {
			t.Errorf("exit %d, want %q in %s%s", got.code, want, got.out, got.err)
		}
	}
	asJSON := sluice(t, environment(serve(t, b), readToken), "", "status", "--output", "json")
	var list []events.Status
	if err := json.Unmarshal([]byte(asJSON.out), &list); err != nil || len(list) != 1 {
		t.Errorf("%s %v", asJSON.out, err)
	}
}

func TestHealthcheck(t *testing.T) {
	b := apitest.New()
	b.SetReady(false)
	base := serve(t, b)
	for _, want := range []int{exitFailed, exitDone} {
		if got := sluice(t, nil, "", "healthcheck", "--api", base); got.code != want {
			t.Errorf("exit %d, want %d: %s", got.code, want, got.err)
		}
		b.SetReady(true)
	}
}

func TestVersion(t *testing.T) {
	if got := sluice(t, nil, "", "version"); !strings.HasPrefix(got.out, "sluice v1.2.3 (go") {
		t.Errorf("%q", got.out)
	}
}

func TestEveryCommandHasHelpAndAnExample(t *testing.T) {
	for _, cmd := range commands(&program{}) {
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s lacks help or example", cmd.Name())
		}
		if got := sluice(t, nil, "", cmd.Name(), "--help"); got.code != exitDone || !strings.Contains(got.out, "Examples:") {
			t.Errorf("%s --help: exit %d %s", cmd.Name(), got.code, got.err)
		}
	}
	if got := sluice(t, nil, "", "completion", "bash"); got.code != exitDone || !strings.Contains(got.out, "sluice") {
		t.Errorf("completion: exit %d %s", got.code, got.err)
	}
}

func TestEveryParameterIsAFlag(t *testing.T) {
	cmd := newReconfigureCommand(&program{})
	for name, flag := range map[string]string{"servicePath": "service-path", "httpsPort": "https-port", "sslVerifyNone": "ssl-verify-none", "redirectUnlessHttpsProto": "redirect-unless-https-proto"} {
		if kebab(name) != flag || cmd.Flags().Lookup(flag) == nil {
			t.Errorf("%s is not the flag --%s", name, flag)
		}
	}
}

func TestCompletionOfNames(t *testing.T) {
	env := environment(serve(t, apitest.New()), writeToken)
	sluice(t, env, "", "reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo")
	if got := sluice(t, env, "", "__complete", "show", ""); !strings.HasPrefix(got.out, "go-demo\n") {
		t.Errorf("%q %q", got.out, got.err)
	}
}

// TestReconfigureChecksNames: a misspelled parameter is refused, here and not only by the API.
func TestReconfigureChecksNames(t *testing.T) {
	b := apitest.New()
	env := environment(serve(t, b), writeToken)
	for _, args := range [][]string{
		{"reconfigure", "n1", "--port", "80", "--service-path", "/n1", "--set", "denyHtpp=true"},
		{"reconfigure", "n1", "--port", "80", "--service-path", "/n1", "--set", "denyHtpp=true", "--dry-run"},
	} {
		if got := sluice(t, env, "", args...); got.code != exitRefused || !strings.Contains(got.err, "denyHtpp") || !strings.Contains(got.err, "denyHttp\n") {
			t.Errorf("%q: exit %d %s", args, got.code, got.err)
		}
	}
	file := filepath.Join(t.TempDir(), "n1.yaml")
	if err := os.WriteFile(file, []byte("user:\n- name: a\n  password: b\ndestinations:\n- port: 80\n  servicePath: [/n1]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"reconfigure", "n1", "-f", file}, {"reconfigure", "n1", "-f", file, "--dry-run"}} {
		if got := sluice(t, env, "", args...); got.code != exitRefused || !strings.Contains(got.err, "users") {
			t.Errorf("%q: exit %d %s", args, got.code, got.err)
		}
	}
}
