package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Names of files below the configuration directory.
const (
	ConfigFile  = "haproxy.cfg"
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
func (m *Model) Files(generation uint64) []File {
	files := []File{{ConfigFile, []byte(m.config(generation)), configMode}}
	add := func(name string, data []byte) { files = append(files, File{name, data, configMode}) }
	for _, t := range m.routing.all() {
		add(t.file(), t.render())
	}
	for i := range m.wildLookups {
		add(m.wildLookups[i].file(), m.wildLookups[i].render())
	}
	if len(m.routing.ports) > 0 {
		var b strings.Builder
		for _, p := range m.routing.ports {
			fmt.Fprintf(&b, "%d %d\n", p, p)
		}
		add(entryFile, []byte(b.String()))
	}
	if slices.ContainsFunc(m.specials[:], func(s []special) bool { return len(s) > 0 }) {
		add(rankFile, m.rankLines())
	}
	if len(m.moved) > 0 {
		add(movedFile, mapLines(m.moved))
	}
	for name, lines := range m.sni {
		add(name, mapLines(lines))
	}
	files = append(files, m.credentialFiles()...)
	files = append(files, m.certFiles...)
	if m.options.CrtList == "" && slices.ContainsFunc(m.options.Binds, func(b Bind) bool { return b.TLS }) {
		add(crtListFile, m.crtList())
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// Digest is the SHA-256 of all files, apart from the generation: equal exactly when
// HAProxy would do the same.
func (m *Model) Digest() string {
	sum := sha256.New()
	for _, f := range m.Files(0) {
		fmt.Fprintf(sum, "%s\x00%d\x00", f.Name, len(f.Data))
		sum.Write(f.Data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func mapLines(m map[string]string) []byte {
	var b strings.Builder
	for _, key := range sortedKeys(m) {
		b.WriteString(key + " " + m[key] + "\n")
	}
	return []byte(b.String())
}

// config is the text of haproxy.cfg, ending in a line break.
func (m *Model) config(generation uint64) string {
	var t text
	t.WriteString("# Written by sluice at every change: edits are lost.\nglobal\n")
	t.line("description gen-" + strconv.FormatUint(generation, 10))
	return t.String() + m.body
}

// shared renders what stands before the frontends: global, resolvers, defaults.
func (m *Model) shared(t *text) {
	o := m.options
	t.line("default-path config")
	t.line("stats socket", quote(SocketPath(o)), "mode 600 level admin expose-fd listeners")
	t.line("stats timeout 1h")
	t.line("stats maxconn 50")
	t.line("hard-stop-after", strconv.Itoa(m.tunnel+60)+"s")
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
	m.defaults(t)
}

func (m *Model) defaults(t *text) {
	o, s := m.options, strconv.Itoa
	t.section("defaults")
	t.line("mode http")
	t.line("balance roundrobin")
	t.line("option dontlognull")
	o.AccessLog.defaults(t)
	if option, _ := connectionOption(o.ConnectionMode); option != "" {
		t.line("option", option)
	}
	t.line("option redispatch")
	t.line("maxconn", s(o.MaxConn))
	for _, w := range []struct {
		name    string
		seconds int
	}{
		{"connect", o.Timeouts.Connect}, {"client", o.Timeouts.Client}, {"server", o.Timeouts.Server},
		{"queue", o.Timeouts.Queue}, {"tunnel", o.Timeouts.Tunnel},
		{"http-request", o.Timeouts.HTTPRequest}, {"http-keep-alive", o.Timeouts.HTTPKeepAlive},
	} {
		t.line("timeout", w.name, s(w.seconds)+"s")
	}
	if o.CheckResolvers {
		t.line("default-server init-addr last,libc,none")
	}
	if o.CompressionAlgo != "" {
		t.line("compression algo", quote(o.CompressionAlgo))
		if o.CompressionType != "" {
			t.line("compression type", quoteAll(strings.Fields(o.CompressionType)))
		}
	}
	for _, code := range sortedCodes(m.view.Errorfiles) {
		t.line("errorfile", s(code), quote(m.view.Errorfiles[code]))
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
