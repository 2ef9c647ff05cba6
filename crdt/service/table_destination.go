package service

import "sync"

// destinationFields gives the table of the parameters that each destination has. It is made
// once; nobody changes it.
var destinationFields = sync.OnceValue(func() []field {
	return append(append(routeFields(), targetFields()...), requestFields()...)
})

func destinationField(name string, t Type, help string, bind func(*Destination) any) field {
	return field{Parameter: Parameter{Name: name, Level: DestinationLevel, Type: t, Help: help}, dest: bind}
}

// routeFields say which requests reach a destination. The rules for paths and domains
// depend on other parameters: see checkRoute.
func routeFields() []field {
	f := destinationField
	return []field{
		f("servicePath", List, "paths that lead to the service",
			func(d *Destination) any { return &d.ServicePath }),
		f("servicePathExclude", List, "paths that do not, although servicePath matches",
			func(d *Destination) any { return &d.ServicePathExclude }),
		f("pathType", Text, "how paths are compared, for example path, path_reg or \"path_beg -i\" (default: path_beg)",
			func(d *Destination) any { return &d.PathType }),
		f("serviceDomain", List, "hosts that lead to the service; may start with *",
			func(d *Destination) any { return &d.ServiceDomain }),
		f("serviceHeader", Matches, "headers that a request must have: Name:value",
			func(d *Destination) any { return &d.ServiceHeader }),
		f("userAgent", List, "one of these texts must be part of the User-Agent header",
			func(d *Destination) any { return &d.UserAgent }).must(patternRule),
		f("reqMode", Text, "http, tcp or sni (default: http)",
			func(d *Destination) any { return &d.ReqMode }).must(oneOf(string(HTTP), string(TCP), string(SNI))),
		f("srcPort", Number, "entry port of the proxy",
			func(d *Destination) any { return &d.SrcPort }).within(1, maxPort),
		f("srcHttpsPort", Number, "entry port of the proxy for requests that go to httpsPort",
			func(d *Destination) any { return &d.SrcHTTPSPort }).within(1, maxPort),
		f("redirectFromDomain", List, "hosts that are redirected to the first serviceDomain",
			func(d *Destination) any { return &d.RedirectFromDomain }).must(hostRule),
	}
}

// targetFields say where a destination's requests go.
func targetFields() []field {
	f := destinationField
	return []field{
		f("port", Number, "port of the service",
			func(d *Destination) any { return &d.Port }).within(1, maxPort),
		f("httpsPort", Number, "port of the service for requests that entered over TLS",
			func(d *Destination) any { return &d.HTTPSPort }).within(1, maxPort),
		f("outboundHostname", Text, "host of the service (default: serviceName)",
			func(d *Destination) any { return &d.OutboundHostname }).must(hostRule),
		f("sslVerifyNone", Bool, "talk TLS to the service without verifying its certificate",
			func(d *Destination) any { return &d.SSLVerifyNone }),
		f("timeoutServer", Number, "seconds the service may be silent",
			func(d *Destination) any { return &d.TimeoutServer }).within(1, maxTimeout),
		f("timeoutTunnel", Number, "seconds a tunnel (websocket) may be silent",
			func(d *Destination) any { return &d.TimeoutTunnel }).within(1, maxTimeout),
		f("timeoutClient", Number, "seconds a tcp or sni client may be silent",
			func(d *Destination) any { return &d.TimeoutClient }).within(1, maxTimeout),
		f("checkTcp", Bool, "tcp: check that the service accepts connections",
			func(d *Destination) any { return &d.CheckTCP }),
		f("clitcpka", Bool, "tcp: send keep-alive packets to clients",
			func(d *Destination) any { return &d.Clitcpka }),
		f("serviceGroup", Text, "tcp: services of one group share an entry port",
			func(d *Destination) any { return &d.ServiceGroup }).must(nameRule),
		f("balanceGroup", Text, "tcp: how the group is balanced, for example roundrobin",
			func(d *Destination) any { return &d.BalanceGroup }).must(oneOf(balances()...)),
		f("userDef", Text, "free text for custom templates",
			func(d *Destination) any { return &d.UserDef }),
	}
}

// requestFields say what happens to a destination's requests on their way.
func requestFields() []field {
	f := destinationField
	return []field{
		f("httpsOnly", Bool, "redirect plain requests to https",
			func(d *Destination) any { return &d.HTTPSOnly }),
		f("httpsRedirectCode", Number, "status of redirects to https: 301, 302, 303, 307 or 308",
			func(d *Destination) any { return &d.HTTPSRedirectCode }).within(301, 308),
		f("denyHttp", Bool, "deny plain requests",
			func(d *Destination) any { return &d.DenyHTTP }),
		f("allowedMethods", List, "deny all other methods",
			func(d *Destination) any { return &d.AllowedMethods }).must(tokenRule),
		f("deniedMethods", List, "deny these methods",
			func(d *Destination) any { return &d.DeniedMethods }).must(tokenRule),
		f("ignoreAuthorization", Bool, "let everybody in, whatever users says",
			func(d *Destination) any { return &d.IgnoreAuthorization }),
		f("reqPathSearchReplace", Rewrites, "changes of the path: search,replace[,flags], joined by ':'",
			func(d *Destination) any { return &d.ReqPathSearchReplace }),
		f("verifyClientSsl", Bool, "deny requests without a verified client certificate",
			func(d *Destination) any { return &d.VerifyClientSSL }),
	}
}
