package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/crdt/service"
)

// TestInvalidParameterOfALabel: each parameter; nothing changes, and others go on.
func TestInvalidParameterOfALabel(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	bad := map[string]string{}
	for _, p := range service.Parameters() {
		value := "/a,/b\nbackend evil"
		switch p.Type {
		case service.Headers:
			value = "X-A b\nbackend evil"
		case service.Matches:
			value = "X-A:b\nbackend evil"
		case service.Secret:
			value = "\x00"
		}
		more := []string{"com.df.serviceDomain", "acme.com"}
		if strings.HasPrefix(p.Name, "reqPath") {
			more = append(more, "com.df.reqPathSearch", "/a", "com.df.reqPathReplace", "/b")
		}
		name := strings.ToLower(p.Name)
		w.docker.Run(name, "10.0.0.5", labels("/"+name, more...))
		bad[p.Name] = value
	}
	for _, l := range []string{"notify", "shortName", "scrapeNetwork"} {
		w.docker.Run(strings.ToLower(l), "10.0.0.5", labels("/"+strings.ToLower(l)))
		bad[l] = "a\nb"
	}
	log := &lines{}
	w.watcherLogs(t, log)
	eventually(t, func() string {
		if n := len(w.backend.Entries(service.Key(""))); n != len(bad) {
			return fmt.Sprintf("%d of %d services", n, len(bad))
		}
		return ""
	})
	w.looks(t, 3)
	before, routes := len(w.records(t)), w.routes(t)
	for param, value := range bad {
		more := []string{"com.df.serviceDomain", "acme.com"}
		if strings.HasPrefix(param, "reqPath") {
			more = append(more, "com.df.reqPathSearch", "/a", "com.df.reqPathReplace", "/b")
		}
		w.docker.Service(strings.ToLower(param), labels("/changed", append(more, "com.df."+param, value)...), 1)
	}
	w.looks(t, 3)
	w.docker.Run("last", "10.0.0.6", labels("/last"))
	eventually(t, func() string {
		if !strings.Contains(w.routes(t), "last /last") {
			return "others do not go on"
		}
		return ""
	})
	w.looks(t, 3)
	for _, r := range w.records(t)[before:] {
		if r.Key != service.Key("last") {
			t.Errorf("%s of %s: %s", r.Action, r.Key, r.Data)
		}
	}
	told := log.refusals(t)
	for param := range bad {
		name, reasons := param, told[strings.ToLower(param)]
		if strings.HasPrefix(param, "reqPath") {
			name = "reqPathSearchReplace"
		}
		if len(reasons) != 1 || !strings.Contains(reasons[0], name) || !strings.Contains(reasons[0], "; ") {
			t.Errorf("%s is told as %q, want one refusal with problem and remedy", param, reasons)
		}
	}
	if got := w.routes(t); strings.Replace(got, "last /last; ", "", 1) != routes {
		t.Errorf("routes are %s, were %s", got, routes)
	}
}

// TestShortNamesAreReachedByTheWholeOne: of two stacks with a "web" the short name reaches both.
func TestShortNamesAreReachedByTheWholeOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more []string
		want []string // host of each destination
	}{
		"short":             {nil, []string{"shop_web"}},
		"balances by DNS":   {[]string{"com.df.DiscoveryType", "dns"}, []string{"tasks.shop_web"}},
		"a host":            {[]string{"com.df.outboundHostname", "mine"}, []string{"mine"}},
		"the short name":    {[]string{"com.df.outboundHostname", "web"}, []string{""}},
		"a host of the one": {[]string{"com.df.port.1", "1", "com.df.port.2", "2", "com.df.outboundHostname.1", "mine"}, []string{"mine", "shop_web"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWatched(t, false)
			w.watcher(t)
			w.docker.Run("shop_web", "10.0.0.5", labels("/web", append(c.more, "com.docker.stack.namespace", "shop", "com.df.shortName", "true")...))
			w.want(t, "web /web")
			s, err := service.Decode(w.backend.Entries(service.Key("web"))[0].Value)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range s.Destinations {
				got = append(got, s.Destinations[i].OutboundHostname)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("hosts %q, want %q", got, c.want)
			}
		})
	}
}

// TestTasksUnderAnySpelling: the API takes sessionType in any, so a sticky service of any has tasks.
func TestTasksUnderAnySpelling(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.watcher(t)
	w.docker.Run("web", "10.0.0.5", labels("/web", "com.df.sessiontype", "sticky-server"))
	w.wantTasks(t, "web", []string{"10.0.0.5"}, nil)
}

// TestSecretsInLabels: a change is noticed, a repetition makes no event, and the log has
// nothing to try passwords against.
func TestSecretsInLabels(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	stop := w.watcher(t)
	sources := func() (all []string) {
		for _, r := range w.records(t) {
			var doc service.Service
			if err := json.Unmarshal(r.Data, &doc); err != nil {
				t.Fatal(err)
			}
			all = append(all, doc.Source.Labels)
		}
		return all
	}
	events := func(want int) {
		t.Helper()
		eventually(t, func() string {
			if got := len(w.records(t)); got != want {
				return fmt.Sprintf("%d events, want %d", got, want)
			}
			return ""
		})
	}
	w.docker.Run("web", "10.0.0.5", labels("/web", "com.df.users", "ann:one"))
	events(1)
	w.docker.Service("web", labels("/web", "com.df.users", "ann:two"), 1)
	events(2)
	stop()
	w.watcher(t)
	w.looks(t, 4)
	events(2)
	if s := sources(); s[0] != s[1] {
		t.Errorf("digests %v depend on the password", s)
	}
}

// TestLabelsThatMeanNothing are told once for each change of labels, with what was meant.
func TestLabelsThatMeanNothing(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	log := &lines{}
	w.watcherLogs(t, log)
	fine := []string{"com.df.SESSIONTYPE", "sticky-server", "com.df.port.1", "1", "com.df.reqMode.1", "http", "com.df.setHeader", "X-A b", "com.df.shortName", "true", "com.df.distribute", "true", "other", "x"}
	wrong := []string{"com.df.httpsonly", "true", "com.df.reqmode.1", "tcp", "com.df.users.1", "a:b", "com.df.addreqheader", "X-A b", "com.df.port.x", "1", "com.df.alertName.1", "memory", "com.df.", "x"}
	w.docker.Run("fine", "10.0.0.5", labels("/fine", fine...))
	w.docker.Run("web", "10.0.0.6", labels("/web", append(fine, wrong...)...))
	w.want(t, "fine /fine; web /web")
	w.looks(t, 3)
	w.docker.Service("web", labels("/web2", append(fine, "com.df.servicepath", "/x")...), 1)
	w.want(t, "fine /fine; web /web2")
	w.looks(t, 3)
	var got []string
	for _, told := range log.warnings(t) {
		got = append(got, told.Service+": "+strings.Join(told.Labels, " "))
	}
	want := []string{
		"web: com.df. com.df.addreqheader (com.df.addReqHeader?) com.df.alertName.1 com.df.httpsonly (com.df.httpsOnly?) com.df.port.x (com.df.port?) com.df.reqmode.1 (com.df.reqMode?) com.df.users.1 (com.df.users?)",
		"web: com.df.servicepath (com.df.servicePath?)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRoutesOfTheListenerBefore are left as they are until a label changes, any one.
func TestRoutesOfTheListenerBefore(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)
	w.docker.Run("web", "10.0.0.5", labels("/web"))
	w.send(t, "reconfigure?serviceName=web&servicePath=/web&port=8080&replicas=1&distribute=true")
	log := &lines{}
	w.watcherLogs(t, log)
	w.looks(t, 3)
	if n := len(w.records(t)); n != 1 {
		t.Fatalf("%d events, want the listener's", n)
	}
	w.docker.Service("web", labels("/web", "switched", "1"), 1)
	eventually(t, func() string {
		if n := len(w.records(t)); n != 2 {
			return fmt.Sprintf("%d events, want the listener's and the watcher's", n)
		}
		return ""
	})
	w.docker.Remove("web")
	w.want(t, "")
}
