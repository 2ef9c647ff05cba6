package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// Stats is HAProxy's statistics page. It is served when both User and Password are given.
type Stats struct {
	// User and Password may enter; both "none": everybody may. The password gets into no
	// file, only its digest does.
	User, Password string
	// URI is where the page is: a path, with a query if that belongs to it.
	URI string
	// Port is the page's own; 0, 80 or a port of Options.Binds: the page is at URI on the
	// ports of the http frontend.
	Port int
}

const (
	// statsSection cannot be the name of a service's backend, which ends in a port.
	statsSection = "statistics"
	// statsFrontend differs from it, since HAProxy 3.3 and newer give no two sections one name.
	statsFrontend = "statistics_port"
	// statsUsers identifies the page's user list in the maps; no service is called so.
	statsUsers = "*statistics"
	// everybody, as user and as password, opens the page.
	everybody = "none"
)

// Enabled reports whether there is a page.
func (s *Stats) Enabled() bool { return s.User != "" && s.Password != "" }

func (s *Stats) open() bool { return s.User == everybody && s.Password == everybody }

// OwnStatsPort is the port of a statistics page that has one of its own, else 0.
func (o *Options) OwnStatsPort() int {
	s := &o.Stats
	shared := func(b Bind) bool { return b.Port == s.Port }
	if !s.Enabled() || s.Port == 80 || slices.ContainsFunc(o.Binds, shared) {
		return 0
	}
	return s.Port
}

func (s *Stats) problems() []error {
	if !s.Enabled() {
		return nil
	}
	var errs []error
	if strings.Contains(s.User, ":") || unprintable(s.User) || unprintable(s.Password) {
		errs = append(errs, errors.New("STATS_USER, STATS_PASS: a colon in the name or a control character cannot be sent by a browser, choose others"))
	}
	plain := func(r rune) bool { return r <= ' ' || r > '~' }
	if !strings.HasPrefix(s.URI, "/") || strings.ContainsFunc(s.URI, plain) || len(s.URI) > 256 {
		errs = append(errs, fmt.Errorf("STATS_URI %.60q: use a path such as /admin?stats, printable and without blanks", s.URI))
	}
	if !portFits(s.Port) {
		errs = append(errs, fmt.Errorf("STATS_PORT %d: use a port from 1 to 65535, or none", s.Port))
	}
	return errs
}

// statisticsList is who may see the page; nil: everybody, or there is none.
func (o *Options) statisticsList() *userList {
	if !o.Stats.Enabled() || o.Stats.open() {
		return nil
	}
	return &userList{id: statsUsers, realm: "Statistics", users: []service.User{o.localUser(statsUsers, o.Stats.User, o.Stats.Password)}}
}

// statistics renders the page, and its frontend if it has a port of its own.
func (s *shape) statistics(t *text) {
	o := s.options
	if !o.Stats.Enabled() {
		return
	}
	if port := o.OwnStatsPort(); port > 0 {
		t.section("frontend", statsFrontend)
		t.line("bind", bindWord(o.BindAddr, port))
		o.AccessLog.http(t)
		t.line("default_backend", statsSection)
	}
	t.section("backend", statsSection)
	if !o.Stats.open() {
		ask(t, s.lists[statsUsers])
	}
	t.line("stats enable")
	t.line("stats uri", quote(o.Stats.URI))
	t.line("stats hide-version")
	t.line("stats refresh 30s")
}

// statisticsRule leads requests of the http frontend to the page, before all services.
func (s *shape) statisticsRule(t *text) {
	if o := s.options; o.Stats.Enabled() && o.OwnStatsPort() == 0 {
		t.line("use_backend", statsSection, "if { pathq -m beg --", quote(o.Stats.URI), "}")
	}
}
