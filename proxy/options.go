package proxy

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"sluice/crdt/service"
)

// Timeouts are the defaults of HAProxy's timers, in seconds; each must be positive.
type Timeouts struct {
	Connect, Client, Server, Queue, Tunnel int
	HTTPRequest, HTTPKeepAlive             int
}

// Options are the local inputs of rendering: what this replica's own environment says.
// They are trusted; requests are not. Build only reads them.
type Options struct {
	// CfgDir receives haproxy.cfg and its maps. RunDir receives sockets and the staging
	// copy that is checked; empty means CfgDir. The path must stay below 90 bytes.
	CfgDir, RunDir string
	// CertsDir, ErrorfilesDir, SecretsDir and TemplatesDir are read only; empty: none.
	CertsDir, ErrorfilesDir, SecretsDir, TemplatesDir string

	// Binds are the addresses of the http frontend.
	Binds []Bind
	// BindAddr is the address that tcp frontends listen on, "*" for all.
	BindAddr string

	Timeouts Timeouts
	// ConnectionMode is the http connection option of the defaults section.
	ConnectionMode string
	// DefaultReqMode is the mode of the http frontend; only http can be routed.
	DefaultReqMode string
	// HTTPSOnly redirects plain requests of every service.
	HTTPSOnly bool
	// Users protect every service that has no users of its own.
	Users []service.User

	// Stats is the statistics page, AccessLog the log of requests.
	Stats     Stats
	AccessLog AccessLog

	// ExtraGlobal and ExtraFrontend are raw lines of the operator.
	ExtraGlobal, ExtraFrontend []string
	// CaptureRequestHeader holds items "Name:length".
	CaptureRequestHeader []string

	SSLBindOptions, SSLBindCiphers string
	EnableH2                       bool
	// CAFile verifies client certificates, where given.
	CAFile string
	// PreferredCertificate lists file name patterns (with *) in order of preference.
	PreferredCertificate []string
	// CrtList is the operator's own crt-list file; empty: the proxy writes one.
	CrtList string

	// Resolvers are the lines of the resolvers section, used with CheckResolvers.
	Resolvers      []string
	CheckResolvers bool

	CompressionAlgo, CompressionType string

	// AuthKey is the base64 key of the credential digests.
	AuthKey string
	// OpenBox opens a sealed service certificate; nil: such certificates are reported.
	OpenBox func(box string) ([]byte, error)

	// AddBackend: HAProxy can add backends while it runs, so that there is no pool of them.
	AddBackend bool

	// MaxConn limits the connections of each frontend.
	MaxConn int
	// User and Group are what HAProxy's workers become; only when started as root.
	User, Group string
}

// DefaultOptions are Docker Flow Proxy's defaults with its image's directories.
func DefaultOptions() Options {
	return Options{
		CfgDir: "/cfg", CertsDir: "/certs", ErrorfilesDir: "/errorfiles", SecretsDir: "/run/secrets",
		Binds:    []Bind{{Addr: "*", Port: 80, Setting: DefaultPorts}, {Addr: "*", Port: 443, TLS: true, Setting: DefaultPorts}},
		BindAddr: "*",
		Timeouts: Timeouts{
			Connect: 5, Client: 20, Server: 20, Queue: 30, Tunnel: 3600, HTTPRequest: 5, HTTPKeepAlive: 15,
		},
		ConnectionMode: "http-keep-alive",
		DefaultReqMode: "http",
		SSLBindOptions: "ssl-min-ver TLSv1.2 no-tls-tickets",
		SSLBindCiphers: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" +
			"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
		EnableH2:  true,
		Stats:     Stats{URI: "/admin?stats"},
		Resolvers: []string{"nameserver dns 127.0.0.11:53"},
		MaxConn:   5000,
	}
}

// maxRunDir keeps unix socket paths below the kernel's limit of 108 bytes.
const maxRunDir = 90

var captureItem = regexp.MustCompile(`^[A-Za-z0-9_-]+:[0-9]{1,4}$`)

// Validate reports all problems at once, one per line.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(o.CfgDir) {
		bad("--cfg-dir (SLUICE_CFG_DIR) %.200q: give an absolute path", o.CfgDir)
	}
	if dir := o.runDir(); len(dir) > maxRunDir {
		bad("run directory %.40q…: %d bytes leave no room for socket names, use a path of at most %d", dir, len(dir), maxRunDir)
	}
	if len(o.Binds) == 0 {
		bad("DEFAULT_PORTS: no port is given; give one, e.g. 8000 or 8443:ssl")
	}
	if o.DefaultReqMode != "http" {
		bad("DEFAULT_REQ_MODE %q: only http can be routed here; give tcp services reqMode=tcp and srcPort", o.DefaultReqMode)
	}
	if _, ok := connectionOption(o.ConnectionMode); !ok {
		bad("CONNECTION_MODE %q: use http-keep-alive, http-server-close or httpclose", o.ConnectionMode)
	}
	if o.MaxConn < 0 {
		bad("maximum connections %d: must not be negative", o.MaxConn)
	}
	errs = append(errs, o.Timeouts.problems()...)
	errs = append(errs, o.Stats.problems()...)
	if strings.ContainsAny(o.User+o.Group, "\r\n\x00") {
		bad("user %q, group %q: not a name", o.User, o.Group)
	}
	for _, s := range settings() {
		errs = append(errs, s.check(o))
	}
	return errors.Join(errs...)
}

func (t *Timeouts) problems() []error {
	var errs []error
	named := map[string]int{
		"TIMEOUT_CONNECT": t.Connect, "TIMEOUT_CLIENT": t.Client, "TIMEOUT_SERVER": t.Server, "TIMEOUT_QUEUE": t.Queue,
		"TIMEOUT_TUNNEL": t.Tunnel, "TIMEOUT_HTTP_REQUEST": t.HTTPRequest, "TIMEOUT_HTTP_KEEP_ALIVE": t.HTTPKeepAlive,
	}
	for _, name := range sortedKeys(named) {
		if v := named[name]; v <= 0 || v > maxTimeout {
			errs = append(errs, fmt.Errorf("%s %d: give seconds from 1 to %d", name, v, maxTimeout))
		}
	}
	return errs
}

// maxTimeout in seconds stays below the 24 days that HAProxy's timers hold.
const maxTimeout = 2_000_000

func (o *Options) runDir() string {
	if o.RunDir != "" {
		return o.RunDir
	}
	return o.CfgDir
}

// connectionOption maps a connection mode to the option that today's HAProxy knows; an
// empty option means that the mode has become the only behaviour.
func connectionOption(mode string) (option string, ok bool) {
	switch mode {
	case "http-keep-alive", "http-server-close", "httpclose":
		return mode, true
	case "forceclose":
		return "httpclose", true
	case "http-tunnel", "":
		return "", true
	}
	return "", false
}
