package haproxy_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/proxy"
	"sluice/proxy/haproxy"
)

var proxyLabel = regexp.MustCompile(`proxy="([^"]*)"`)

// series are the lines of an exporter by name and sorted labels, with the names at rest; what has
// no value is left out.
func (r *rig) series(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if !strings.HasPrefix(line, "haproxy_") || strings.HasSuffix(line, " NaN") || strings.Contains(line, "_agg_") {
			continue
		}
		id := line[:at]
		if m := proxyLabel.FindStringSubmatch(id); m != nil {
			name := r.controller.AtRest(m[1])
			if name == "" {
				continue
			}
			id = strings.Replace(id, m[0], `proxy="`+name+`"`, 1)
		}
		if name, labels, ok := strings.Cut(strings.TrimSuffix(id, "}"), "{"); ok {
			list := strings.Split(labels, ",")
			slices.Sort(list)
			id = name + "{" + strings.Join(list, ",") + "}"
		}
		all[id] = line[at+1:]
	}
	return all
}

// TestStatisticsInHAProxysOwnForm: what is told is what the exporter within HAProxy tells, with
// the names at rest.
func TestStatisticsInHAProxysOwnForm(t *testing.T) {
	var built bool
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		out, err := exec.CommandContext(t.Context(), r.config.Binary.Path, "-vv").Output()
		if err != nil {
			t.Fatal(err)
		}
		if built = strings.Contains(string(out), "prometheus-exporter"); built {
			cfg.Options.ExtraFrontend = []string{"http-request use-service prometheus-exporter if { path /exporter }"}
		}
	})
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "one"))
	r.goes(call{path: "/x"}, "one")
	ours := r.series(scraped(t, haproxy.NewStatistics(r.config.Socket, r.controller.AtRest).Native()))
	found := slices.ContainsFunc(keys(ours), func(id string) bool {
		return strings.HasPrefix(id, `haproxy_backend_status{proxy="x-be`) && strings.HasSuffix(id, `state="UP"}`)
	})
	if !found || ours[`haproxy_process_stopping`] != "0" || ours[`haproxy_frontend_status{proxy="services",state="UP"}`] != "1" {
		t.Errorf("%v", ours)
	}
	if !built {
		return
	}
	_, text := page(t, r.http, "/exporter", "", "")
	theirs := r.series(text)
	missing, more := without(theirs, ours), without(ours, theirs)
	if len(more) > 0 {
		t.Errorf("HAProxy does not tell: %q", more)
	}
	if r.config.Binary.Major == 2 && r.config.Binary.Minor == 6 && len(missing) > 0 { // later ones tell more
		t.Errorf("only HAProxy tells: %q", missing)
	}
	for _, id := range keys(ours) {
		stable := strings.Contains(id, "limit_") || strings.Contains(id, "_weight") || strings.Contains(id, "_servers") || strings.Contains(id, "_status")
		if theirs[id] != ours[id] && stable {
			t.Errorf("%s is %s, HAProxy says %s", id, ours[id], theirs[id])
		}
	}
}

func keys(m map[string]string) []string {
	var list []string
	for id := range m {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

func without(all, other map[string]string) []string {
	return slices.DeleteFunc(keys(all), func(id string) bool { _, ok := other[id]; return ok })
}

// TestStatisticsAsTable: the CSV that Docker Flow Proxy handed out, with the names at rest.
func TestStatisticsAsTable(t *testing.T) {
	r := newRig(t)
	port := echo(t, "one")
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + port)
	r.goes(call{path: "/x"}, "one")
	s := haproxy.NewStatistics(r.config.Socket, r.controller.AtRest)
	table, err := s.CSV(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := string(table)
	if !strings.HasPrefix(text, "# pxname,svname,") || !strings.Contains(text, "\nx-be"+port+"_0,BACKEND,") || !strings.Contains(text, "\nservices,FRONTEND,") || strings.Contains(text, "pool:") {
		t.Errorf("%s", text)
	}
	r.stop()
	if _, err := s.CSV(t.Context()); err == nil {
		t.Error("a table without HAProxy")
	}
}
