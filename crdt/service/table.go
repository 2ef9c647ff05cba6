package service

import "sync"

// Ranges of numbers.
const (
	maxPort     = 65535
	maxTimeout  = 7 * 24 * 3600 // seconds
	maxReplicas = 100000
)

// serviceFields gives the table of the parameters that a service has once. It is made once,
// for every definition is read and checked with it; nobody changes it.
var serviceFields = sync.OnceValue(makeServiceFields)

func makeServiceFields() []field {
	f := func(name string, t Type, help string, bind func(*Service) any) field {
		return field{Parameter: Parameter{Name: name, Level: ServiceLevel, Type: t, Help: help}, service: bind}
	}
	return []field{
		f("serviceName", Text, "name of the service, and its host unless outboundHostname is given",
			func(s *Service) any { return &s.Name }).must(nameRule),
		f("aclName", Text, "orders the rules and prefixes backend names (default: serviceName)",
			func(s *Service) any { return &s.ACLName }).must(nameRule),
		f("addReqHeader", Headers, "headers to add to requests: Name value [if condition]",
			func(s *Service) any { return &s.AddReqHeader }).old("addHeader"),
		f("setReqHeader", Headers, "headers to set in requests: Name value [if condition]",
			func(s *Service) any { return &s.SetReqHeader }).old("setHeader"),
		f("addResHeader", Headers, "headers to add to responses: Name value [if condition]",
			func(s *Service) any { return &s.AddResHeader }),
		f("setResHeader", Headers, "headers to set in responses: Name value [if condition]",
			func(s *Service) any { return &s.SetResHeader }),
		f("delReqHeader", List, "headers to delete from requests",
			func(s *Service) any { return &s.DelReqHeader }).must(headerNameRule),
		f("delResHeader", List, "headers to delete from responses",
			func(s *Service) any { return &s.DelResHeader }).must(headerNameRule),
		f("backendExtra", Text, "raw HAProxy lines for the backends; needs --allow-raw-config",
			func(s *Service) any { return &s.BackendExtra }),
		f("checkResolvers", Bool, "let HAProxy resolve the host again at run time",
			func(s *Service) any { return &s.CheckResolvers }),
		f("compressionAlgo", Text, "compression of responses: gzip, deflate, raw-deflate or identity",
			func(s *Service) any { return &s.CompressionAlgo }).must(compressionAlgoRule),
		f("compressionType", Text, "media types to compress, separated by blanks",
			func(s *Service) any { return &s.CompressionType }).must(compressionTypeRule),
		f("connectionMode", Text, "http-keep-alive, http-server-close or httpclose",
			func(s *Service) any { return &s.ConnectionMode }).must(oneOf(connectionModes()...)),
		f("discoveryType", Text, "DNS: one server per replica",
			func(s *Service) any { return &s.DiscoveryType }).must(oneOf("DNS", "Overlay")),
		f("isDefaultBackend", Bool, "take the requests that no rule matches",
			func(s *Service) any { return &s.IsDefaultBackend }),
		f("proxyInstanceName", Text, "the proxy this service is meant for",
			func(s *Service) any { return &s.ProxyInstanceName }),
		f("redirectWhenHttpProto", Bool, "redirect to https if X-Forwarded-Proto is http",
			func(s *Service) any { return &s.RedirectWhenHTTPProto }),
		f("redirectUnlessHttpsProto", Bool, "redirect to https unless X-Forwarded-Proto is https",
			func(s *Service) any { return &s.RedirectUnlessHTTPSProto }),
		f("replicas", Number, "number of replicas; 0 removes the service",
			func(s *Service) any { return &s.Replicas }).within(0, maxReplicas),
		f("serviceDomainAlgo", Text, "how domains are compared, for example hdr_dom(host)",
			func(s *Service) any { return &s.ServiceDomainAlgo }).must(domainAlgoRule),
		f("sessionType", Text, "sticky-server: a cookie keeps clients on one server",
			func(s *Service) any { return &s.SessionType }).must(oneOf("sticky-server")),
		f("templateFePath", Text, "frontend template, a file below the templates directory",
			func(s *Service) any { return &s.TemplateFePath }).must(templateRule),
		f("templateBePath", Text, "backend template, a file below the templates directory",
			func(s *Service) any { return &s.TemplateBePath }).must(templateRule),
		f("usersSecret", Text, "users are read from the secret dfp_users_<value>",
			func(s *Service) any { return &s.UsersSecret }).must(secretRule),
		f("usersPassEncrypted", Bool, "the passwords of users are crypt(3) hashes",
			func(s *Service) any { return &s.UsersPassEncrypted }),
	}
}
