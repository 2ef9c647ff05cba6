package service

import (
	"regexp"
	"slices"
	"strings"
)

// Fetch is a sample fetch that a header's value may use as %[name] or %[name(arg)].
type Fetch struct {
	Name string
	// Arg is "" for none, else what stands in the brackets: "name" for a header, cookie
	// or attribute name, which must be given.
	Arg string
	// Request and Response say in which header parameters the fetch may be used.
	Request, Response bool
}

// String is the fetch as it is written, with "name" for its argument.
func (f Fetch) String() string {
	if f.Arg == "" {
		return f.Name
	}
	return f.Name + "(" + f.Arg + ")"
}

// Fetches is the whole allow-list: facts of the connection, the request and the
// response. Nothing that reads the environment, files or the proxy's own state.
func Fetches() []Fetch {
	var all []Fetch
	add := func(arg string, req, res bool, names ...string) {
		for _, name := range names {
			all = append(all, Fetch{Name: name, Arg: arg, Request: req, Response: res})
		}
	}
	add("", true, true, "src", "src_port", "dst", "dst_port", "date", "unique-id", "uuid",
		"ssl_fc", "ssl_fc_alpn", "ssl_fc_cipher", "ssl_fc_protocol", "ssl_fc_sni",
		"ssl_c_used", "ssl_c_verify", "ssl_c_serial", "ssl_c_s_dn", "ssl_c_i_dn",
		"ssl_c_notbefore", "ssl_c_notafter", "ssl_c_sha1")
	add("name", true, true, "ssl_c_s_dn", "ssl_c_i_dn")
	add("", true, false, "method", "path", "url", "query", "base", "req.ver")
	add("name", true, false, "hdr", "req.hdr", "req.fhdr", "req.cook", "cook", "urlp", "url_param")
	add("", false, true, "status", "res.ver")
	add("name", false, true, "res.hdr", "res.fhdr", "res.cook")
	return all
}

// Converters lists what may follow a fetch, as %[fetch,converter].
func Converters() []string {
	return []string{"lower", "upper", "hex", "base64", "length", "url_dec", "http_date",
		"field(n,c)", "word(n,c)"}
}

var (
	callPattern    = regexp.MustCompile(`^([a-z0-9_.-]+)(?:\(([^()]*)\))?$`)
	argNamePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}(,-?[0-9]{1,2})?$`)
	splitPattern   = regexp.MustCompile(`^-?[0-9]{1,3},[.:/;_|=@-]$`)
)

// fetchFault judges the inside of one %[…].
func fetchFault(expr string, dir direction) fault {
	calls := splitCalls(expr)
	if !allowedFetch(calls[0], dir) {
		return fault{"uses a sample fetch that is not allowed here", "use one of " + fetchNames(dir)}
	}
	for _, call := range calls[1:] {
		if !allowedConverter(call) {
			return fault{"uses a converter that is not allowed", "use one of " + strings.Join(Converters(), " ")}
		}
	}
	return fault{}
}

// fetchNames lists what a header in that direction may use.
func fetchNames(dir direction) string {
	var names []string
	for _, f := range Fetches() {
		if dir == request && f.Request || dir == response && f.Response {
			names = append(names, f.String())
		}
	}
	return strings.Join(names, " ")
}

// splitCalls splits at the commas outside brackets; the result is never empty.
func splitCalls(expr string) []string {
	var calls []string
	depth, from := 0, 0
	for i := range len(expr) {
		switch expr[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				calls = append(calls, expr[from:i])
				from = i + 1
			}
		}
	}
	return append(calls, expr[from:])
}

func allowedFetch(call string, dir direction) bool {
	m := callPattern.FindStringSubmatch(call)
	if m == nil {
		return false
	}
	return slices.ContainsFunc(Fetches(), func(f Fetch) bool {
		if f.Name != m[1] || dir == request && !f.Request || dir == response && !f.Response {
			return false
		}
		if f.Arg == "" {
			return m[2] == ""
		}
		return argNamePattern.MatchString(m[2])
	})
}

func allowedConverter(call string) bool {
	m := callPattern.FindStringSubmatch(call)
	if m == nil {
		return false
	}
	if m[1] == "field" || m[1] == "word" {
		return splitPattern.MatchString(m[2])
	}
	return m[2] == "" && slices.Contains(Converters(), m[1])
}
