package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

// explainer has one answer for every request.
type explainer struct{ routing api.Routing }

func (e explainer) Explain(_ context.Context, p api.Probe) (api.Routing, error) {
	p.Port = max(p.Port, 80)
	out := e.routing
	out.Request = p
	if agent := p.Header.Get("User-Agent"); agent != "" {
		out.Notes = append(out.Notes, "agent "+agent)
	}
	return out, nil
}

// why asks for http://acme.com/demo with that answer.
func why(t testing.TB, b *apitest.Backend, routing api.Routing, args ...string) result {
	t.Helper()
	base := serve(t, b, func(c *api.Config) { c.Explainer = explainer{routing} })
	return sluice(t, environment(base, readToken), "", append([]string{"why", "http://acme.com/demo?token=secret"}, args...)...)
}

func TestWhyTellsRuleEventAndShadows(t *testing.T) {
	b := apitest.New()
	sluice(t, environment(serve(t, b), writeToken), "", "reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo")
	entry, _ := b.Entry("service/go-demo")
	b.SetStatus(events.Status{Quarantine: []events.Quarantined{{Service: "go-demo", Version: "v2", Reason: "no such file"}}})
	got := why(t, b, api.Routing{
		Rule:     api.Rule{Kind: "prefix", Service: "go-demo", Index: 1, Backend: "go-demo-be8080_1", Host: "acme.com", Path: "/demo"},
		Version:  entry.Stamp.String(),
		Shadowed: []api.Rule{{Kind: "prefix", Service: "other", Backend: "other-be80_0", Path: "/"}},
	}, "--method", "POST", "--header", "User-Agent: amiga\u0085")
	for _, want := range []string{
		"request  POST http://acme.com/demo, entering at port 80 (http)\n",
		"goes to  service go-demo (index 1), backend go-demo-be8080_1\n",
		"by rule  prefix /demo of host acme.com\n",
		"made by  event 1, by ci, through cli, at ",
		", stamp " + entry.Stamp.String() + "\n",
		"but      version v2 is refused here, an earlier one serves: no such file\n",
		"shadows  service other, backend other-be80_0, by prefix / of any host\n",
		"note     agent amiga?\n",
	} {
		if got.code != exitDone || !strings.Contains(got.out, want) {
			t.Errorf("exit %d, want %q in %s%s", got.code, want, got.out, got.err)
		}
	}
	if strings.Contains(got.out, "secret") {
		t.Errorf("the query is told: %s", got.out)
	}
}

func TestWhyTellsWhatHappens(t *testing.T) {
	special := api.Rule{Kind: "special", Service: "s", Backend: "s-be80_0", Path: "(?=x)", Conditions: []string{"path_reg '(?=x)'", "not path_beg /a"}, Doubt: "path_reg (?=x): unreadable"}
	for name, c := range map[string]struct {
		routing api.Routing
		want    string
	}{
		"nothing matches":  {api.Routing{Rule: api.Rule{Kind: "none"}, Status: 503, Reason: "no rule matches", ErrorFile: "/errorfiles/503.http"}, "answers  503 (no rule matches), with /errorfiles/503.http\n"},
		"no error file":    {api.Routing{Rule: api.Rule{Kind: "none"}, Status: 503, Reason: "no rule matches"}, "answers  503 (no rule matches), with HAProxy's own page\n"},
		"a redirect":       {api.Routing{Rule: api.Rule{Kind: "redirectFromDomain", Service: "s", Host: "acme.com"}, Status: 301, Reason: "redirectFromDomain", Location: "http://new.com/demo"}, "by rule  redirectFromDomain acme.com\nanswers  301 (redirectFromDomain), Location: http://new.com/demo\n"},
		"a default":        {api.Routing{Rule: api.Rule{Kind: "defaultBackend", Service: "s", Backend: "s-be80_0"}}, "goes to  service s, backend s-be80_0\nby rule  defaultBackend\n"},
		"HAProxy's page":   {api.Routing{Rule: api.Rule{Kind: "statistics", Backend: "statistics", Path: "/admin?stats"}}, "goes to  HAProxy's own page, backend statistics\nby rule  statistics /admin?stats\n"},
		"a doubt":          {api.Routing{Rule: api.Rule{Kind: "none"}, Doubts: []api.Rule{special}}, "perhaps  service s, backend s-be80_0, by special: path_reg '(?=x)' and not path_beg /a; cannot be told: path_reg (?=x): unreadable\nelse to  nothing"},
		"by many shadowed": {api.Routing{Rule: api.Rule{Kind: "none"}, Shadowed: make([]api.Rule, 102)}, "shadows  2 more\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := why(t, apitest.New(), c.routing); got.code != exitDone || !strings.Contains(got.out, c.want) {
				t.Errorf("exit %d, want %q in %s%s", got.code, c.want, got.out, got.err)
			}
		})
	}
}

func TestWhyAsJSON(t *testing.T) {
	got := why(t, apitest.New(), api.Routing{Rule: api.Rule{Kind: "none"}, Status: 503}, "--output", "json")
	var out api.Explanation
	if err := json.Unmarshal([]byte(got.out), &out); err != nil || out.Status != 503 || !strings.Contains(got.out, `"shadowed": []`) || strings.Contains(got.out, "secret") {
		t.Errorf("exit %d: %s%s %v", got.code, got.out, got.err, err)
	}
}

func TestWhyExitCodes(t *testing.T) {
	env := environment(serve(t, apitest.New()), readToken)
	for _, c := range []struct {
		env  []string
		args []string
		code int
		says string
	}{
		{env, []string{"why"}, exitFailed, "arg"},
		{env, []string{"why", "acme.com/demo"}, exitRefused, "http://acme.com/demo"},
		{env, []string{"why", "http://acme.com", "--header", "nothing"}, exitRefused, "Name: value"},
		{env, []string{"why", "http://acme.com"}, exitFailed, "serves nothing"},
		{env[:1], []string{"why", "http://acme.com"}, exitRefused, "token"},
	} {
		if got := sluice(t, c.env, "", c.args...); got.code != c.code || !strings.Contains(got.err, c.says) {
			t.Errorf("%v: exit %d, want %d: %s", c.args, got.code, c.code, got.err)
		}
	}
}

func TestCompletionOfWhy(t *testing.T) {
	if got := sluice(t, nil, "", "__complete", "why", "http://acme.com", "--method", ""); !strings.Contains(got.out, "POST\n") {
		t.Errorf("%q %q", got.out, got.err)
	}
	if got := sluice(t, nil, "", "__complete", "why", ""); !strings.HasPrefix(got.out, ":4") {
		t.Errorf("a URL is completed by file names: %q", got.out)
	}
}
