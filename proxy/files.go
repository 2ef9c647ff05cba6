package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Names of files below the configuration directory.
const (
	ConfigFile  = "haproxy.cfg"
	poolFile    = "pool.cfg"
	crtListFile = "crt-list.txt"
	entryFile   = "maps/entry-ports.map"
	rankFile    = "maps/order.map"
	movedFile   = "maps/redirects.map"
	keyFile     = "maps/auth-key.map"
	saltsFile   = "maps/auth-salts.map"
	usersFile   = "maps/auth-users.map"
)

const (
	configMode fs.FileMode = 0o640
	secretMode fs.FileMode = 0o600
)

// File is one file of the configuration. Name is relative to the configuration directory.
type File struct {
	Name string
	Data []byte
	Mode fs.FileMode
}

// Files are all files of the model, sorted by name. Only haproxy.cfg depends on the
// generation, which HAProxy shows as its description.
func (m *Model) Files(generation uint64) []File { return m.snapshot().render().at(generation) }

// Digest is the SHA-256 of all files, apart from the generation and the pool: equal exactly
// when HAProxy would do the same.
func (m *Model) Digest() string { return m.snapshot().render().digest() }

// snapshot is a model at one moment, to be rendered while that one goes on changing. What
// it refers to is never changed in place.
type snapshot struct {
	options *Options
	shape   *shape
	parts   []*part // in no order
	routing *routing
	pool    string
}

func (m *Model) snapshot() *snapshot {
	return &snapshot{
		options: m.options, shape: m.shape(), parts: slices.Collect(maps.Values(m.parts)), routing: m.routing.frozen(), pool: m.poolText(),
	}
}

// rendering is a model as text: of haproxy.cfg what stands behind the generation, the pool
// in a file of its own, which is of no interest to people, and the other files by name.
type rendering struct {
	body, pool string
	others     []File
}

func (s *snapshot) render() *rendering {
	r := &rendering{body: s.body(), pool: s.pool}
	add := func(name string, data []byte) { r.others = append(r.others, File{name, data, mapMode(name)}) }
	for l := range s.shape.used {
		add(l.file(), s.routing.render(l))
	}
	for name, lines := range s.shape.smallMaps() {
		add(name, mapLines(name, lines))
	}
	if len(s.shape.ranks) > 0 {
		add(rankFile, mapLines(rankFile, s.shape.rankLines(s.parts)))
	}
	r.others = append(r.others, s.shape.certFiles...)
	if s.options.CrtList == "" && slices.ContainsFunc(s.options.Binds, func(b Bind) bool { return b.TLS }) {
		add(crtListFile, s.shape.crtList())
	}
	slices.SortFunc(r.others, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return r
}

func (r *rendering) at(generation uint64) []File {
	head := "# Written by sluice at every change: edits are lost.\nglobal\n" +
		"    description gen-" + strconv.FormatUint(generation, 10) + "\n"
	files := append(slices.Clone(r.others), File{ConfigFile, []byte(head + r.body), configMode}, File{poolFile, []byte(r.pool), configMode})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files
}

func (r *rendering) digest() string {
	sum := sha256.New()
	for _, f := range append(slices.Clone(r.others), File{Name: ConfigFile, Data: []byte(r.body)}) {
		fmt.Fprintf(sum, "%s\x00%d\x00", f.Name, len(f.Data))
		sum.Write(f.Data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// rankLines map every backend that a map leads to to its rank; those without are left out.
func (s *shape) rankLines(parts []*part) map[string]string {
	lines := map[string]string{}
	for _, p := range parts {
		for i := range p.routes {
			if rank := s.rankOf(p.routes[i].place); rank > 0 {
				lines[p.routes[i].backend] = strconv.Itoa(rank)
			}
		}
	}
	return lines
}

func mapMode(name string) fs.FileMode {
	switch name {
	case keyFile, saltsFile, usersFile:
		return secretMode
	}
	return configMode
}

// mapLines is the text of a map. HAProxy tries the endings of hosts one after the other:
// the longest has to come first.
func mapLines(name string, m map[string]string) []byte {
	keys := sortedKeys(m)
	if strings.HasPrefix(name, wildcardFiles) {
		slices.SortStableFunc(keys, func(a, b string) int { return len(b) - len(a) })
	}
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(key + " " + m[key] + "\n")
	}
	return []byte(b.String())
}

func portLines(ports []int) map[string]string {
	lines := make(map[string]string, len(ports))
	for _, p := range ports {
		lines[strconv.Itoa(p)] = strconv.Itoa(p)
	}
	return lines
}

// body is the text of haproxy.cfg behind the generation.
func (s *snapshot) body() string {
	var t text
	before, behind := s.shape.structure(s.shape.used)
	t.WriteString(before)
	each(s.shape, s.parts, func(sec *section) { sec.write(&t) })
	t.WriteString(behind)
	return t.String()
}

// poolText renders the backends that services get which come while HAProxy runs, or the
// settings of those that it adds.
func (m *Model) poolText() string {
	if m.spare.text != "" && m.spare.size == m.pool {
		return m.spare.text
	}
	m.spare.size, m.spare.text = m.pool, m.makePoolText()
	return m.spare.text
}

func (m *Model) makePoolText() string {
	var t text
	t.WriteString("# Spare backends, which services have from their coming until the next load.\n")
	if m.options.AddBackend {
		m.shape().defaults(&t, "defaults "+plainDefaults)
		t.WriteString(strings.TrimPrefix(m.plain.head, "    mode http\n"))
		return t.String()
	}
	for i := range m.pool {
		spare := section{kind: "backend", name: poolName(i + 1), head: m.plain.head}
		spare.write(&t)
	}
	return t.String()
}

// shared renders what stands before the frontends: global, resolvers, defaults.
func (s *shape) shared(t *text) {
	o := s.options
	t.line("default-path config")
	t.line("stats socket", quote(SocketPath(o)), "mode 600 level admin expose-fd listeners")
	t.line("stats timeout 1h")
	t.line("stats maxconn 50")
	t.line("hard-stop-after", strconv.Itoa(s.tunnel+60)+"s")
	if o.User != "" {
		t.line("user", quote(o.User))
	}
	if o.Group != "" {
		t.line("group", quote(o.Group))
	}
	o.AccessLog.target(t)
	t.line("tune.ssl.default-dh-param 2048")
	if o.SSLBindOptions != "" {
		t.line("ssl-default-bind-options", o.SSLBindOptions)
	}
	if o.SSLBindCiphers != "" {
		t.line("ssl-default-bind-ciphers", o.SSLBindCiphers)
	}
	for _, raw := range o.ExtraGlobal {
		t.line(raw)
	}
	t.section("resolvers docker")
	for _, raw := range o.Resolvers {
		t.line(raw)
	}
	s.defaults(t, "defaults")
}

func (s *shape) defaults(t *text, name string) {
	o := s.options
	t.section(name)
	t.line("mode http")
	t.line("balance roundrobin")
	t.line("option dontlognull")
	o.AccessLog.defaults(t)
	if option, _ := connectionOption(o.ConnectionMode); option != "" {
		t.line("option", option)
	}
	t.line("option redispatch")
	t.line("maxconn", strconv.Itoa(o.MaxConn))
	for _, w := range []struct {
		name    string
		seconds int
	}{
		{"connect", o.Timeouts.Connect}, {"client", o.Timeouts.Client}, {"server", o.Timeouts.Server},
		{"queue", o.Timeouts.Queue}, {"tunnel", o.Timeouts.Tunnel},
		{"http-request", o.Timeouts.HTTPRequest}, {"http-keep-alive", o.Timeouts.HTTPKeepAlive},
	} {
		t.line("timeout", w.name, strconv.Itoa(w.seconds)+"s")
	}
	if o.CheckResolvers {
		t.line("default-server init-addr last,libc,none")
	}
	if o.CompressionAlgo != "" {
		t.line("compression algo", quoteAll(strings.Fields(o.CompressionAlgo)))
		if o.CompressionType != "" {
			t.line("compression type", quoteAll(strings.Fields(o.CompressionType)))
		}
	}
	for _, code := range sortedCodes(s.view.Errorfiles) {
		t.line("errorfile", strconv.Itoa(code), quote(s.view.Errorfiles[code]))
	}
}

func sortedCodes(files map[int]string) []int {
	codes := make([]int, 0, len(files))
	for code := range files {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}
