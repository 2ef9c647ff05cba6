package proxy

import (
	"net/netip"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// section is one backend (or listen) section: what its requests undergo, and its servers.
type section struct {
	// kind is the keyword, name what follows it.
	kind, name string
	// owner is the service that it belongs to, of a group the first member.
	owner string
	// head and tail are the lines before and behind the servers.
	head, tail string
	servers    []server
	// fixed: its servers cannot be changed while HAProxy runs.
	fixed bool
}

// server is one line of a section.
type server struct {
	name, host string
	port       int
	addr       netip.Addr // invalid: none is known
	check, tls bool
	cookie     string
	// resolvers: HAProxy looks the host up itself.
	resolvers bool
	// weight is its part of the requests, 0 also while it is drained; maint: it gets none at
	// all.
	weight int
	maint  bool
}

// plainSection is the backend of a service without needs of its own; each backend of the
// pool is one.
func plainSection(o *Options) section {
	s := &service.Service{Name: "pool", Destinations: []service.Destination{{Port: 1}}}
	p := &part{options: o, view: &View{}, svc: s, lists: map[string]*userList{}}
	return p.backend(&entry{target: &target{svc: s, dst: &s.Destinations[0]}, port: 1})
}

// poolable reports whether a backend of the pool, which looks like plain, can stand in for
// the section.
func (s *section) poolable(plain *section) bool {
	return s.kind == "backend" && s.head == plain.head && s.tail == "" && !s.fixed
}

func (s *section) tenant() tenant { return tenant{s.owner, s.name} }

func (s *section) write(t *text) {
	t.section(s.kind, s.name)
	t.WriteString(s.head)
	for i := range s.servers {
		t.line(s.servers[i].words()...)
	}
	t.WriteString(s.tail)
}

// words are the server's line: the readable name, with the address behind it.
func (s *server) words() []string {
	words := []string{"server", s.name, hostPort(s.host, s.port)}
	if s.check {
		words = append(words, "check")
	}
	if s.resolvers {
		words = append(words, "resolvers docker")
	}
	if s.tls {
		words = append(words, "ssl verify none")
	}
	if s.cookie != "" {
		words = append(words, "cookie "+s.cookie)
	}
	if s.weight != 1 {
		words = append(words, "weight "+strconv.Itoa(s.weight))
	}
	if s.maint {
		words = append(words, "disabled")
	}
	return append(words, s.initAddr())
}

// initAddr gives a named server its address, so that HAProxy never resolves by itself.
func (s *server) initAddr() string {
	switch _, err := netip.ParseAddr(s.host); {
	case err == nil:
		return ""
	case !s.addr.IsValid():
		return "init-addr none"
	}
	return "init-addr " + s.addr.String() + ",none"
}

// sameButAddress reports whether only address, port, weight and maintenance may differ.
func (s *server) sameButAddress(o *server) bool {
	return s.name == o.name && s.check == o.check && s.tls == o.tls && s.cookie == o.cookie && s.resolvers == o.resolvers
}

// add are the words of "add server" behind the names. A server that is added while HAProxy
// before 3.0 runs starts with all settings at zero and ignores default-server, so each
// setting is told: without those of the pool no connection would ever be used again.
func (s *server) add() string {
	words := []string{hostPort(s.addr.String(), s.port), "weight", strconv.Itoa(s.weight), "pool-max-conn 1000 pool-purge-delay 5s"}
	if s.check {
		words = append(words, "check inter 2s fall 3 rise 2")
	}
	if s.tls {
		words = append(words, "ssl verify none")
	}
	if s.cookie != "" {
		words = append(words, "cookie "+s.cookie)
	}
	return strings.Join(words, " ")
}

// poolPrefix begins the names of the pool's backends; no service's backend is called so,
// since those end in a port.
const poolPrefix = "pool:"

func poolName(i int) string { return poolPrefix + strconv.Itoa(i) }
