package api

import (
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// dfpStatus is the short form of Docker Flow Proxy's answer.
type dfpStatus struct {
	Status      string
	Message     string
	ServiceName string
}

// dfpResponse is the long form: the status and the service, flat.
type dfpResponse struct {
	Status  string
	Message string
	dfpService
}

// dfpService has the field names of Docker Flow Proxy's answers, which its users parse.
// Unset lists are null here and [] in a destination, as there. Users never carry
// passwords, and ServiceCert is always empty.
type dfpService struct {
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
	Users                                            []dfpUser
	ServicePort, AclCondition                        string
	IsGlobal                                         bool
	LookupRetry, LookupRetryInterval                 int
	ServiceDest                                      []dfpDest
	Tasks                                            []string
}

type dfpUser struct {
	Username      string
	PassEncrypted bool
}

type dfpDest struct {
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
	UserAgent                                 dfpAgent
	UserDef                                   string
	Index                                     int
	ReqPathSearchReplaceFormatted             []string
	IncludeSrcPortACL, IncludeSrcHttpsPortACL bool
}

type dfpAgent struct {
	Value   []string
	AclName string
}

func newDFPResponse(s *service.Service) dfpResponse {
	return dfpResponse{Status: "OK", dfpService: newDFPService(s)}
}

func newDFPService(s *service.Service) dfpService {
	out := dfpService{
		ServiceName: s.Name, AclName: s.ACLName,
		AddReqHeader: headers(s.AddReqHeader), SetReqHeader: headers(s.SetReqHeader),
		AddResHeader: headers(s.AddResHeader), SetResHeader: headers(s.SetResHeader),
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
		out.Users = append(out.Users, dfpUser{Username: u.Name, PassEncrypted: u.Crypt != ""})
	}
	for i := range s.Destinations {
		out.ServiceDest = append(out.ServiceDest, newDFPDest(&s.Destinations[i]))
	}
	return out
}

func newDFPDest(d *service.Destination) dfpDest {
	out := dfpDest{
		AllowedMethods: list(d.AllowedMethods), DeniedMethods: list(d.DeniedMethods),
		BalanceGroup: d.BalanceGroup, CheckTCP: d.CheckTCP, Clitcpka: d.Clitcpka,
		DenyHttp: d.DenyHTTP, HttpsOnly: d.HTTPSOnly, HttpsPort: d.HTTPSPort,
		HttpsRedirectCode: number(d.HTTPSRedirectCode), IgnoreAuthorization: d.IgnoreAuthorization,
		OutboundHostname: d.OutboundHostname, PathType: d.PathType, Port: number(d.Port),
		RedirectFromDomain: list(d.RedirectFromDomain),
		ReqMode:            string(d.ReqMode), ReqModeFormatted: string(d.ReqMode),
		ServiceDomain: list(d.ServiceDomain), ServiceGroup: d.ServiceGroup,
		ServicePath: list(d.ServicePath), ServicePathExclude: list(d.ServicePathExclude),
		SrcPort: d.SrcPort, SrcHttpsPort: d.SrcHTTPSPort, SslVerifyNone: d.SSLVerifyNone,
		TimeoutServer: number(d.TimeoutServer), TimeoutClient: number(d.TimeoutClient),
		TimeoutTunnel: number(d.TimeoutTunnel), VerifyClientSsl: d.VerifyClientSSL,
		UserAgent: dfpAgent{Value: list(d.UserAgent)}, UserDef: d.UserDef, Index: d.Index,
		ServiceHeader:                 map[string]string{},
		ReqPathSearchReplaceFormatted: []string{},
	}
	if d.ReqMode == service.SNI {
		out.ReqModeFormatted = string(service.TCP)
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

func headers(in []service.Header) []string {
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

func list(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}

// number is empty for zero, which means "not given".
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
