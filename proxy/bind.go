package proxy

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Bind is one listening address of the http frontend.
type Bind struct {
	// Addr is "*" for all addresses, else an IP address or host name.
	Addr string
	Port int
	TLS  bool
	// Options are further words of the bind line, as the operator gave them.
	Options string
	// Setting is where it comes from: DefaultPorts or BindPorts.
	Setting string
}

// Settings that list ports.
const (
	DefaultPorts = "DEFAULT_PORTS"
	BindPorts    = "BIND_PORTS"
)

// ParseBinds reads DEFAULT_PORTS or BIND_PORTS, named by setting: a comma list of "8000",
// "8443:ssl" or "127.0.0.1:8443:ssl", bind options after a blank. addr precedes every item
// that has no address of its own; if it is none, which Options.Validate reports, "*" does.
// All bad items are reported at once.
func ParseBinds(setting, list, addr string) ([]Bind, error) {
	if addrProblem(addr) != "" {
		addr = "*"
	}
	var binds []Bind
	var errs []error
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		b, err := parseBind(item, addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", setting, err))
			continue
		}
		b.Setting = setting
		binds = append(binds, b)
	}
	return binds, errors.Join(errs...)
}

func parseBind(item, addr string) (Bind, error) {
	fail := func(problem string) (Bind, error) {
		return Bind{}, fmt.Errorf("port item %.60q: %s; use 8000, 8443:ssl or address:8000, bind options after a blank", item, problem)
	}
	if strings.ContainsAny(item, "\r\n\x00") {
		return fail("holds a line break")
	}
	word, options, _ := strings.Cut(item, " ")
	b := Bind{Addr: addr, Options: strings.TrimSpace(options)}
	word, b.TLS = strings.CutSuffix(word, ":ssl")
	port := word
	if i := strings.LastIndexByte(word, ':'); i >= 0 {
		b.Addr, port = word[:i], word[i+1:]
	}
	if b.Addr == "" || b.Addr == "0.0.0.0" {
		b.Addr = "*"
	}
	if problem := addrProblem(b.Addr); problem != "" {
		return fail(problem)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return fail("the port is not from 1 to 65535")
	}
	b.Port = n
	return b, nil
}

// addrProblem says why nothing can listen on an address, "" if that is not known.
func addrProblem(addr string) string {
	switch {
	case strings.Contains(addr, ":") && !(strings.HasPrefix(addr, "[") && strings.HasSuffix(addr, "]")):
		return "an IPv6 address stands in brackets"
	case !plainWord(addr):
		return "the address holds characters that no address has"
	}
	return ""
}

// Address is the form that net.Listen takes.
func (b Bind) Address() string { return listenAddress(b.Addr, b.Port) }

func listenAddress(addr string, port int) string {
	addr = strings.Trim(addr, "[]")
	if addr == "*" {
		addr = ""
	}
	return net.JoinHostPort(addr, strconv.Itoa(port))
}

func bindWord(addr string, port int) string { return addr + ":" + strconv.Itoa(port) }

// plainWord reports whether s needs no quoting anywhere in a configuration.
func plainWord(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("*._:[]%/@+-", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
