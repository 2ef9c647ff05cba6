package proxy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/proxy"
)

// Servers have the weights and states that are in force, in every kind of section, and
// HAProxy takes that.
func TestOverlaysInTheFiles(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	view := proxy.View{Addresses: addresses(map[string]string{"api": "10.0.0.8 10.0.0.9", "tasks.sticky": "10.0.1.1 10.0.1.2", "tasks.r1": "10.0.2.1"})}
	api := simple("api", 8080, "/api")
	api.Destinations[0].HTTPSPort = 8443
	sticky := simple("sticky", 80, "/sticky")
	sticky.SessionType = "sticky-server"
	group := service.Service{Name: "r1", Destinations: []service.Destination{{Port: 6379, SrcPort: 6002, ReqMode: service.TCP, ServiceGroup: "g"}}}
	tcp := service.Service{Name: "tcp", Destinations: []service.Destination{
		{Index: 1, Port: 1, SrcPort: 6003, ReqMode: service.TCP}, {Index: 2, Port: 2, SrcPort: 6004, ReqMode: service.TCP},
	}}
	m := proxy.Build(&o, []service.Service{api, sticky, group, tcp, simple("free", 80, "/free")}, view)
	for name, text := range map[string]string{
		"api": `{"weight":9,"servers":{"10.0.0.9:8443":{"state":"maint"},"10.0.0.8":{"state":"drain"}}}`, "sticky": `{"servers":{"10.0.1.2":{"state":"maint","weight":0}}}`,
		"r1": `{"servers":{"r1":{"weight":4}}}`, "tcp": `{"destinations":{"2":{"state":"maint"}}}`, "orphan": `{"state":"maint"}`,
	} {
		m.Overlay(name, []byte(text))
	}
	want := []string{
		"server r1_0 10.0.2.1:6379 weight 4",
		"server tcp tcp:1 init-addr none",
		"server tcp tcp:2 disabled init-addr none",
		"server api api:8080 weight 0 init-addr 10.0.0.8,none",
		"server api_2 api:8080 weight 9 init-addr 10.0.0.9,none",
		"server api api:8443 weight 0 init-addr 10.0.0.8,none",
		"server api_2 api:8443 weight 9 disabled init-addr 10.0.0.9,none",
		"server free free:80 init-addr none",
		"server sticky_0 10.0.1.1:80 check cookie sticky_0",
		"server sticky_1 10.0.1.2:80 check cookie sticky_1 weight 0 disabled",
	}
	if diff := cmp.Diff(want, serverLines(t, m)); diff != "" {
		t.Error(diff)
	}
	if notes := strings.Join(m.Notes(), "\n"); strings.Contains(notes, "overlay") {
		t.Errorf("notes %q", notes)
	}
	accept(t, m, dir)
}

// serverLines are those of the configuration, without indentation.
func serverLines(t *testing.T, m *proxy.Model) (lines []string) {
	t.Helper()
	for line := range strings.Lines(string(fileOf(t, m, proxy.ConfigFile))) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "server ") {
			lines = append(lines, line)
		}
	}
	return lines
}

func fileOf(t *testing.T, m *proxy.Model, name string) []byte {
	t.Helper()
	for _, f := range m.Files(1) {
		if f.Name == name {
			return f.Data
		}
	}
	t.Fatalf("no file %s", name)
	return nil
}

// TestTasksThatAWatcherTells: names win, then the tasks' addresses; what is leaving is drained
// as long as something else is there.
func TestTasksThatAWatcherTells(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	view := proxy.View{Addresses: addresses(map[string]string{"named": "10.0.0.1", "tasks.resolved": "10.0.3.1", "rr": "10.0.4.1 10.0.4.2 10.0.4.3", "last": "10.0.5.1"})}
	sticky, resolved := simple("sticky", 80, "/sticky"), simple("resolved", 80, "/resolved")
	sticky.SessionType, resolved.SessionType = "sticky-server", "sticky-server"
	m := proxy.Build(&o, []service.Service{simple("named", 80, "/named"), simple("alone", 80, "/alone"), sticky, resolved, simple("rr", 80, "/rr"), simple("last", 80, "/last")}, view)
	for name, text := range map[string]string{
		"named": `"running":["10.9.9.9"]`, "alone": `"running":["172.18.0.2"]`, "resolved": `"running":["10.9.9.9"]`,
		"sticky": `"running":["172.18.0.3","172.18.0.4"],"leaving":["172.18.0.5"]`, "rr": `"leaving":["10.0.4.2"]`, "last": `"leaving":["10.0.5.1"]`,
	} {
		text = `{"tasks":{"cluster":"c",` + text + `}}`
		if name == "rr" {
			text = `{"servers":{"10.0.4.3":{"state":"maint"}},` + text[1:]
		}
		m.Overlay(name, []byte(text))
	}
	want := []string{
		"server alone alone:80 init-addr 172.18.0.2,none",
		"server last last:80 init-addr 10.0.5.1,none",
		"server named named:80 init-addr 10.0.0.1,none",
		"server resolved_0 10.0.3.1:80 check cookie resolved_0",
		"server rr rr:80 init-addr 10.0.4.1,none",
		"server rr_2 rr:80 weight 0 init-addr 10.0.4.2,none",
		"server rr_3 rr:80 disabled init-addr 10.0.4.3,none",
		"server sticky_0 172.18.0.3:80 check cookie sticky_0",
		"server sticky_1 172.18.0.4:80 check cookie sticky_1",
	}
	if diff := cmp.Diff(want, serverLines(t, m)); diff != "" {
		t.Error(diff)
	}
	if notes := m.Notes(); len(notes) != 0 {
		t.Errorf("notes %q", notes)
	}
	accept(t, m, dir)
}

// TestContainersAreNotFoundByName: the names of one Docker host are shared. Two compose projects
// have a "web", which Docker's DNS answers with both.
func TestContainersAreNotFoundByName(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	view := proxy.View{Addresses: addresses(map[string]string{"web": "172.18.0.2 172.18.0.3 172.18.0.4", "elsewhere": "10.0.0.1", "tasks.web": "172.18.0.2"})}
	made := func(name, path string, change func(*service.Service)) service.Service {
		s := simple(name, 80, path)
		s.Source = &service.Source{Kind: service.DockerSource, Cluster: "host", ID: name, Labels: "x"}
		if change != nil {
			change(&s)
		}
		return s
	}
	tcp := func(group string) func(*service.Service) {
		return func(s *service.Service) {
			s.Destinations[0] = service.Destination{Port: 6379, SrcPort: 6000 + len(group), ReqMode: service.TCP, ServiceGroup: group}
		}
	}
	m := proxy.Build(&o, []service.Service{
		made("shop_web", "/shop", nil), made("blog_web", "/blog", func(s *service.Service) { s.CheckResolvers = true }), made("web", "/stopped", nil), made("moved", "/moved", nil),
		made("own", "/own", func(s *service.Service) { s.Destinations[0].OutboundHostname = "elsewhere" }),
		made("lost", "/lost", func(s *service.Service) { s.Destinations[0].OutboundHostname = "nowhere" }),
		made("sticky", "/sticky", func(s *service.Service) { s.SessionType = "sticky-server" }),
		made("grouped", "", tcp("g")), made("plain", "", tcp("")),
	}, view)
	for name, text := range map[string]string{
		"shop_web": `"host","running":["172.18.0.2","172.18.0.3"]`, "blog_web": `"host","running":["172.18.0.4"]`,
		"moved": `"another host","running":["172.18.0.9"]`, "own": `"host","running":["172.18.0.9"]`, "lost": `"host","running":["172.18.0.9"]`,
		"grouped": `"host","running":["172.18.0.6"]`, "plain": `"host","running":["172.18.0.7"]`,
	} {
		m.Overlay(name, []byte(`{"tasks":{"cluster":`+text+`}}`))
	}
	want := []string{
		"server plain plain:6379 init-addr 172.18.0.7,none",
		"server grouped_0 172.18.0.6:6379",
		"server blog_web blog_web:80 init-addr 172.18.0.4,none",
		"server lost nowhere:80 init-addr none",
		"server moved moved:80 init-addr none",
		"server own elsewhere:80 init-addr 10.0.0.1,none",
		"server shop_web shop_web:80 init-addr 172.18.0.2,none",
		"server shop_web_2 shop_web:80 init-addr 172.18.0.3,none",
		"server sticky sticky:80 init-addr none",
		"server web web:80 init-addr none",
	}
	if diff := cmp.Diff(want, serverLines(t, m)); diff != "" {
		t.Error(diff)
	}
	accept(t, m, dir)
}
