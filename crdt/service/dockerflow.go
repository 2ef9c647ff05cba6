package service

import (
	"strconv"
	"strings"
)

// DockerFlow is a service with the field names of Docker Flow Proxy, which the readers of its
// answers and its templates use. Unset lists are null here and [] in a destination, as there.
// Users never carry passwords, and ServiceCert is always empty.
type DockerFlow struct {
	ServiceName                                      string
	AclName                                          string
	AddReqHeader, AddResHeader                       []string
	BackendExtra                                     string
	CheckResolvers                                   bool
	CompressionAlgo, CompressionType, ConnectionMode string
	Debug                                            bool
	DebugFormat                                      string
	DelReqHeader, DelResHeader                       []string
	DiscoveryType                                    string
	Distribute, IsDefaultBackend                     bool
	ProxyInstanceName                                string
	RedirectWhenHttpProto, RedirectUnlessHttpsProto  bool
	Replicas                                         int
	ReqPathReplace, ReqPathSearch                    string
	ServiceCert, ServiceDomainAlgo, SessionType      string
	SetReqHeader, SetResHeader                       []string
	TemplateBePath, TemplateFePath                   string
	UseGlobalUsers                                   bool
	Users                                            []DockerFlowUser
	ServicePort, AclCondition                        string
	IsGlobal                                         bool
	LookupRetry, LookupRetryInterval                 int
	ServiceDest                                      []DockerFlowDest
	Tasks                                            []string
}

// DockerFlowUser is one entry of its user list.
type DockerFlowUser struct {
	Username      string
	PassEncrypted bool
}

// DockerFlowDest is a destination.
type DockerFlowDest struct {
	AllowedMethods                            []string
	BalanceGroup                              string
	CheckTCP, Clitcpka                        bool
	DeniedMethods                             []string
	DenyHttp, HttpsOnly                       bool
	HttpsPort                                 int
	HttpsRedirectCode                         string
	IgnoreAuthorization                       bool
	OutboundHostname, PathType, Port          string
	RedirectFromDomain                        []string
	ReqMode, ReqModeFormatted                 string
	ReqPathSearchReplace                      string
	ServiceDomain                             []string
	ServiceGroup                              string
	ServiceHeader                             map[string]string
	ServicePath, ServicePathExclude           []string
	SrcPort, SrcHttpsPort                     int
	SrcPortAcl, SrcPortAclName                string
	SrcHttpsPortAcl, SrcHttpsPortAclName      string
	SslVerifyNone                             bool
	TimeoutServer, TimeoutClient              string
	TimeoutTunnel                             string
	VerifyClientSsl                           bool
	UserAgent                                 DockerFlowAgent
	UserDef                                   string
	Index                                     int
	ReqPathSearchReplaceFormatted             []string
	IncludeSrcPortACL, IncludeSrcHttpsPortACL bool
}

// DockerFlowAgent is the condition on User-Agent.
type DockerFlowAgent struct {
	Value   []string
	AclName string
}

// NewDockerFlow gives s those names.
func NewDockerFlow(s *Service) DockerFlow {
	out := DockerFlow{
		ServiceName: s.Name, AclName: s.ACLName,
		AddReqHeader: headerLines(s.AddReqHeader), SetReqHeader: headerLines(s.SetReqHeader),
		AddResHeader: headerLines(s.AddResHeader), SetResHeader: headerLines(s.SetResHeader),
		DelReqHeader: s.DelReqHeader, DelResHeader: s.DelResHeader,
		BackendExtra: s.BackendExtra, CheckResolvers: s.CheckResolvers,
		CompressionAlgo: s.CompressionAlgo, CompressionType: s.CompressionType,
		ConnectionMode: s.ConnectionMode, DiscoveryType: s.DiscoveryType,
		IsDefaultBackend: s.IsDefaultBackend, ProxyInstanceName: s.ProxyInstanceName,
		RedirectWhenHttpProto: s.RedirectWhenHTTPProto, RedirectUnlessHttpsProto: s.RedirectUnlessHTTPSProto,
		IsGlobal: s.Replicas == nil, ServiceDomainAlgo: s.ServiceDomainAlgo, SessionType: s.SessionType,
		TemplateBePath: s.TemplateBePath, TemplateFePath: s.TemplateFePath,
	}
	if s.Replicas != nil {
		out.Replicas = *s.Replicas
	}
	for _, u := range s.Users {
		out.Users = append(out.Users, DockerFlowUser{Username: u.Name, PassEncrypted: u.Crypt != ""})
	}
	for i := range s.Destinations {
		out.ServiceDest = append(out.ServiceDest, dockerFlowDest(&s.Destinations[i]))
	}
	return out
}

func dockerFlowDest(d *Destination) DockerFlowDest {
	out := DockerFlowDest{
		AllowedMethods: listed(d.AllowedMethods), DeniedMethods: listed(d.DeniedMethods),
		BalanceGroup: d.BalanceGroup, CheckTCP: d.CheckTCP, Clitcpka: d.Clitcpka,
		DenyHttp: d.DenyHTTP, HttpsOnly: d.HTTPSOnly, HttpsPort: d.HTTPSPort,
		HttpsRedirectCode: digits(d.HTTPSRedirectCode), IgnoreAuthorization: d.IgnoreAuthorization,
		OutboundHostname: d.OutboundHostname, PathType: d.PathType, Port: digits(d.Port),
		RedirectFromDomain: listed(d.RedirectFromDomain),
		ReqMode:            string(d.ReqMode), ReqModeFormatted: string(d.ReqMode),
		ServiceDomain: listed(d.ServiceDomain), ServiceGroup: d.ServiceGroup,
		ServicePath: listed(d.ServicePath), ServicePathExclude: listed(d.ServicePathExclude),
		SrcPort: d.SrcPort, SrcHttpsPort: d.SrcHTTPSPort, SslVerifyNone: d.SSLVerifyNone,
		TimeoutServer: digits(d.TimeoutServer), TimeoutClient: digits(d.TimeoutClient),
		TimeoutTunnel: digits(d.TimeoutTunnel), VerifyClientSsl: d.VerifyClientSSL,
		UserAgent: DockerFlowAgent{Value: listed(d.UserAgent)}, UserDef: d.UserDef, Index: d.Index,
		ServiceHeader:                 map[string]string{},
		ReqPathSearchReplaceFormatted: []string{},
	}
	if d.ReqMode == SNI {
		out.ReqModeFormatted = string(TCP)
	}
	for _, m := range d.ServiceHeader {
		out.ServiceHeader[m.Name] = m.Value
	}
	var pairs []string
	for _, r := range d.ReqPathSearchReplace {
		pair := r.Search + "," + r.Replace
		if r.Flags != "" {
			pair += "," + r.Flags
		}
		pairs = append(pairs, pair)
	}
	out.ReqPathSearchReplace = strings.Join(pairs, ":")
	out.ReqPathSearchReplaceFormatted = append(out.ReqPathSearchReplaceFormatted, pairs...)
	return out
}

func headerLines(in []Header) []string {
	var out []string
	for _, h := range in {
		text := h.Name + " " + h.Value
		if h.Condition != "" {
			text += " " + h.Condition
		}
		out = append(out, text)
	}
	return out
}

func listed(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}

// digits is empty for zero, which means "not given".
func digits(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
