// Package service is the value that replicas agree on: one service's whole
// definition, read from a Docker Flow Proxy query, from Swarm labels or from
// JSON, normalised, validated and written as canonical JSON.
//
// Everything here is pure: no clock, no I/O, no environment.
package service

// Service is one complete, normalised definition. A reconfigure replaces it as
// a whole. JSON names are the parameter names of Docker Flow Proxy; a zero
// field means "not given" and is left out of the canonical form.
//
// A Service is plain data: copy it with Clone before changing one that is shared.
type Service struct {
	// Name identifies the service: 1 to 128 of [A-Za-z0-9_.-]. It is the map key,
	// the default target host and the server's name in HAProxy.
	Name string `json:"serviceName"`
	// ACLName orders rules and prefixes backend names; empty means Name. Use Section.
	ACLName string `json:"aclName,omitempty"`

	// Destinations are the targets in index order, at least one, at most MaxDestinations.
	Destinations []Destination `json:"destinations"`

	AddReqHeader []Header `json:"addReqHeader,omitempty"`
	SetReqHeader []Header `json:"setReqHeader,omitempty"`
	AddResHeader []Header `json:"addResHeader,omitempty"`
	SetResHeader []Header `json:"setResHeader,omitempty"`
	DelReqHeader []string `json:"delReqHeader,omitempty"`
	DelResHeader []string `json:"delResHeader,omitempty"`

	// BackendExtra is raw HAProxy text, one directive a line. Accepted only where raw
	// configuration is allowed (Limits.AllowRaw).
	BackendExtra string `json:"backendExtra,omitempty"`

	CheckResolvers   bool   `json:"checkResolvers,omitempty"`
	CompressionAlgo  string `json:"compressionAlgo,omitempty"`
	CompressionType  string `json:"compressionType,omitempty"` // blank separated media types
	ConnectionMode   string `json:"connectionMode,omitempty"`
	DiscoveryType    string `json:"discoveryType,omitempty"` // "" or "DNS"
	IsDefaultBackend bool   `json:"isDefaultBackend,omitempty"`

	ProxyInstanceName string `json:"proxyInstanceName,omitempty"`

	RedirectWhenHTTPProto    bool `json:"redirectWhenHttpProto,omitempty"`
	RedirectUnlessHTTPSProto bool `json:"redirectUnlessHttpsProto,omitempty"`

	// Replicas is nil for a global service; zero never reaches the map, it is a removal.
	Replicas *int `json:"replicas,omitempty"`

	// ServiceDomainAlgo is the HAProxy criterion that compares hosts; empty is the
	// proxy's own exact comparison.
	ServiceDomainAlgo string `json:"serviceDomainAlgo,omitempty"`

	SessionType string `json:"sessionType,omitempty"` // "" or "sticky-server"

	// TemplateFePath and TemplateBePath are file names below the templates directory.
	TemplateFePath string `json:"templateFePath,omitempty"`
	TemplateBePath string `json:"templateBePath,omitempty"`

	// Users may enter; empty and no UsersSecret: no authentication by the service.
	Users []User `json:"users,omitempty"`
	// UsersSecret names the local secret dfp_users_<value>.
	UsersSecret        string `json:"usersSecret,omitempty"`
	UsersPassEncrypted bool   `json:"usersPassEncrypted,omitempty"`

	// ServiceCert is a certificate with its key; it exists sealed only.
	ServiceCert *Sealed `json:"serviceCert,omitempty"`

	// Source is what a watcher made this from; nil: somebody else made it.
	Source *Source `json:"source,omitempty"`

	// Clear holds what must be sealed before the service may be encoded. It is never
	// part of any output.
	Clear Clear `json:"-"`
}

// Clear holds secrets as they came in, until Protect replaces them.
type Clear struct {
	// Passwords maps user names to clear-text passwords.
	Passwords map[string]string
	// Cert is a PEM bundle: certificate, chain and private key.
	Cert string
}

// Sealed is a secret encrypted with the cluster key.
type Sealed struct {
	// Box is the sealed text (base64). It differs each time the same secret is sealed.
	Box string `json:"box"`
	// Fingerprint is equal for equal secrets under one cluster key.
	Fingerprint string `json:"fingerprint"`
}

// User is one entry of a user list. Exactly one of Digest and Crypt is set; both
// empty means: look the name up in UsersSecret or the proxy's own USERS.
type User struct {
	Name string `json:"name"`
	// Salt and Digest: hex. Digest is the cluster key's HMAC-SHA-256 over
	// Salt + "|" + the value of the Authorization header ("Basic <base64(name:password)>").
	Salt   string `json:"salt,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Crypt is a crypt(3) hash, given with usersPassEncrypted.
	Crypt string `json:"crypt,omitempty"`
}

// Header is one header operation.
type Header struct {
	Name string `json:"name"`
	// Value is text that arrives literally, apart from sample fetches of Fetches, written
	// %[fetch], variables of Variables, written %name, and %%, a percent sign. Use Parts.
	Value string `json:"value"`
	// Condition is empty or "if …"/"unless …" with allowed criteria only.
	Condition string `json:"condition,omitempty"`
}

// Mode is how a destination is reached.
type Mode string

// Modes of a destination.
const (
	HTTP Mode = "http"
	TCP  Mode = "tcp"
	SNI  Mode = "sni"
)

// Destination is one target of a service with the rules that lead to it.
type Destination struct {
	// Index is 0 for the parameters without suffix, else 1 to MaxIndex.
	Index int `json:"index"`
	// Port of the target for plain entries, 1 to 65535; 0 when only HTTPSPort is set.
	Port int `json:"port,omitempty"`
	// HTTPSPort is the target port for requests that entered over TLS; 0 for none.
	HTTPSPort int `json:"httpsPort,omitempty"`
	// SrcPort and SrcHTTPSPort restrict the rule to an entry port; 0 for any.
	SrcPort      int  `json:"srcPort,omitempty"`
	SrcHTTPSPort int  `json:"srcHttpsPort,omitempty"`
	ReqMode      Mode `json:"reqMode"`

	ServicePath        []string `json:"servicePath,omitempty"`
	ServicePathExclude []string `json:"servicePathExclude,omitempty"`
	// PathType is a path criterion with optional flags ("path_beg", "path", "path_reg -i" …);
	// empty means path_beg.
	PathType      string   `json:"pathType,omitempty"`
	ServiceDomain []string `json:"serviceDomain,omitempty"` // lower case, may start with "*"
	// OutboundHostname is the target's host; empty means the service's name. Use Service.Host.
	OutboundHostname string `json:"outboundHostname,omitempty"`

	HTTPSOnly           bool     `json:"httpsOnly,omitempty"`
	HTTPSRedirectCode   int      `json:"httpsRedirectCode,omitempty"`
	DenyHTTP            bool     `json:"denyHttp,omitempty"`
	AllowedMethods      []string `json:"allowedMethods,omitempty"`
	DeniedMethods       []string `json:"deniedMethods,omitempty"`
	IgnoreAuthorization bool     `json:"ignoreAuthorization,omitempty"`
	RedirectFromDomain  []string `json:"redirectFromDomain,omitempty"`

	ReqPathSearchReplace []Rewrite `json:"reqPathSearchReplace,omitempty"`
	ServiceHeader        []Match   `json:"serviceHeader,omitempty"`
	UserAgent            []string  `json:"userAgent,omitempty"`

	SSLVerifyNone   bool `json:"sslVerifyNone,omitempty"`
	VerifyClientSSL bool `json:"verifyClientSsl,omitempty"`

	// Timeouts in seconds, 0 for the proxy's default.
	TimeoutServer int `json:"timeoutServer,omitempty"`
	TimeoutTunnel int `json:"timeoutTunnel,omitempty"`
	TimeoutClient int `json:"timeoutClient,omitempty"`

	CheckTCP     bool   `json:"checkTcp,omitempty"`
	Clitcpka     bool   `json:"clitcpka,omitempty"`
	ServiceGroup string `json:"serviceGroup,omitempty"`
	BalanceGroup string `json:"balanceGroup,omitempty"`
	UserDef      string `json:"userDef,omitempty"`
}

// Rewrite replaces the first match of Search in the path by Replace; with the flag
// "g" every match, with "i" ignoring case.
type Rewrite struct {
	Search  string `json:"search"`
	Replace string `json:"replace"`
	Flags   string `json:"flags,omitempty"`
}

// Match is a header that a request must carry with exactly this value.
type Match struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Section is the name that prefixes this service's parts of the configuration.
func (s *Service) Section() string {
	if s.ACLName != "" {
		return s.ACLName
	}
	return s.Name
}

// Host is the name or address of destination d.
func (s *Service) Host(d *Destination) string {
	if d.OutboundHostname != "" {
		return d.OutboundHostname
	}
	return s.Name
}
