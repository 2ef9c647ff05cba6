package proxy_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/crdt/service"
	"sluice/proxy"
)

// TestHAProxyTakesWhatTheDoorTakes: HAProxy refuses none of them. Hostile text that only
// HAProxy can judge is left out: the door shows it to HAProxy before it is published.
func TestHAProxyTakesWhatTheDoorTakes(t *testing.T) {
	all := sample(t)
	if len(all) < 300 {
		t.Errorf("only %d definitions", len(all))
	}
	for _, s := range refusals(t, all) {
		t.Errorf("HAProxy refuses %+v", s)
	}
}

// sample has every parameter with plausible and hostile values, in turns beside others.
// Names and entry ports are made unique, so that all fit into one configuration.
func sample(t *testing.T) []service.Service {
	t.Helper()
	d := newDoor(t, false)
	var all []service.Service
	take := func(p service.Parameter, value string, context url.Values, any bool) {
		q := merge(baseQuery(), context, companions(p.Name))
		q.Set(p.Name, value)
		s, ok, err := d.take(q)
		if err != nil || !ok || s.TemplateFePath != "" || !any && hasOwnSyntax(s) {
			return
		}
		if s.Name != "" && p.Name != "serviceName" {
			s.Name = fmt.Sprintf("s%d", len(all))
		}
		for i := range s.Destinations {
			if s.Destinations[i].ReqMode != service.HTTP {
				s.Destinations[i].SrcPort = 10000 + len(all)
			}
		}
		all = append(all, s)
	}
	turn := 0
	for _, p := range service.Parameters() {
		for _, value := range plausible(p) {
			turn++
			take(p, value, contexts()[turn%len(contexts())], true)
		}
		if p.Name == "serviceName" {
			continue // hostile names could not be told apart
		}
		for _, text := range hostile() {
			turn++
			values := shaped(p, text)
			take(p, values[turn%len(values)], contexts()[turn/3%len(contexts())], false)
		}
	}
	return all
}

// refusals are the definitions that HAProxy refuses, found by halving.
func refusals(t *testing.T, all []service.Service) []service.Service {
	t.Helper()
	if len(all) == 0 || haproxyTakes(t, all) {
		return nil
	}
	if len(all) == 1 {
		return all
	}
	half := len(all) / 2
	return append(refusals(t, all[:half]), refusals(t, all[half:])...)
}

func haproxyTakes(t *testing.T, list []service.Service) bool {
	t.Helper()
	o := hostileOptions()
	dir := t.TempDir()
	o.CfgDir = dir
	m := proxy.Build(&o, list, hostileView(len(list)%2 == 0))
	for _, r := range m.Refusals() {
		t.Errorf("refused by rendering: %v", r)
	}
	for name, text := range filesOf(m) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "haproxy", "-c", "-f", filepath.Join(dir, proxy.ConfigFile)).CombinedOutput()
	if len(list) == 1 && err != nil {
		t.Logf("%+v: %s", list[0], out)
	}
	return err == nil
}

// hasOwnSyntax reports whether a definition holds text that only HAProxy can judge: the
// list of Controller.Check.
func hasOwnSyntax(s service.Service) bool {
	own := s.BackendExtra+s.ServiceDomainAlgo+s.CompressionAlgo != ""
	for _, list := range [][]service.Header{s.AddReqHeader, s.SetReqHeader, s.AddResHeader, s.SetResHeader} {
		for _, h := range list {
			own = own || h.Condition != "" || strings.Contains(h.Value, "%")
		}
	}
	for _, u := range s.Users {
		own = own || u.Crypt != ""
	}
	for _, d := range s.Destinations {
		own = own || d.PathType != "" || len(d.ReqPathSearchReplace) > 0 || d.ReqMode == service.SNI || len(d.ServiceHeader) > 1
	}
	return own
}
