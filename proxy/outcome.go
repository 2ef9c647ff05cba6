package proxy

import (
	"net/http"
	"slices"
	"strings"
)

// Outcome is what the proxy answers by itself.
type Outcome struct {
	// Status is 0 if the request goes on to a server.
	Status int
	// Location is where a redirect leads to.
	Location string
	// Reason is the parameter that wants it so.
	Reason string
}

// outcome is what the entry's backend does with a request before it looks for a server,
// in the order of its lines.
func (e *entry) outcome(r *Request, o *Options) Outcome {
	if out := e.toTLS(r, o); out.Status != 0 {
		return out
	}
	d, method := e.dst, r.method()
	switch {
	case d.VerifyClientSSL && !r.TLS:
		return Outcome{Status: http.StatusForbidden, Reason: "verifyClientSsl"}
	case len(d.AllowedMethods) > 0 && !slices.Contains(d.AllowedMethods, method):
		return Outcome{Status: http.StatusForbidden, Reason: "allowedMethods"}
	case slices.Contains(d.DeniedMethods, method):
		return Outcome{Status: http.StatusForbidden, Reason: "deniedMethods"}
	case d.DenyHTTP && !e.tls && !r.TLS:
		return Outcome{Status: http.StatusForbidden, Reason: "denyHttp"}
	}
	return Outcome{}
}

func (r *Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// toTLS are the redirects of a plain entry.
func (e *entry) toTLS(r *Request, o *Options) Outcome {
	forwarded := func(proto string) bool {
		return slices.ContainsFunc(r.values("X-Forwarded-Proto"), func(v string) bool { return strings.EqualFold(v, proto) })
	}
	reason := ""
	switch {
	case e.tls:
	case e.svc.RedirectWhenHTTPProto && forwarded("http"):
		reason = "redirectWhenHttpProto"
	case e.svc.RedirectUnlessHTTPSProto && !forwarded("https"):
		reason = "redirectUnlessHttpsProto"
	case e.dst.HTTPSOnly && !r.TLS:
		reason = "httpsOnly"
	case o.HTTPSOnly && !r.TLS:
		reason = "HTTPS_ONLY"
	}
	if reason == "" {
		return Outcome{}
	}
	status := http.StatusFound
	if e.dst.HTTPSRedirectCode != 0 {
		status = e.dst.HTTPSRedirectCode
	}
	return Outcome{Status: status, Location: "https://" + r.Host + r.uri(), Reason: reason}
}

// reservations are what the backend asks for that a question does not tell.
func (e *entry) reservations(r *Request, o *Options) []string {
	var list []string
	if e.dst.VerifyClientSSL && r.TLS {
		list = append(list, "verifyClientSsl: 403 without a client certificate that can be verified")
	}
	protected := len(e.svc.Users) > 0 || e.svc.UsersSecret != "" || len(o.Users) > 0
	if protected && !e.dst.IgnoreAuthorization {
		list = append(list, "users: 401 without the name and password of one of them")
	}
	if e.svc.BackendExtra != "" {
		list = append(list, "backendExtra: its lines may do anything; they are not looked at")
	}
	return list
}
