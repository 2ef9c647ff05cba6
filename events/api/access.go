package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// need is what a route asks of its caller.
type need int

const (
	open    need = iota // anybody: health, metrics
	reads               // may see the state
	changes             // may change it
)

// Actors of callers without a token.
const (
	actorLocal    = "local"
	actorInsecure = "insecure"
)

const loopbackRemedy = "call it from this machine by a loopback address, or give tokens with --tokens-file (secret sluice_tokens), or open it to everybody with --insecure-api"

// denial is a refused caller.
type denial struct {
	status int
	detail string
}

func (d *denial) Error() string { return d.detail }

// authorise decides about a caller and returns who it is.
func (s *Server) authorise(r *http.Request, n need) (actor string, err error) {
	if n == changes {
		if err := sameSite(r); err != nil {
			return "", err
		}
	}
	switch {
	case n == open:
		return "", nil
	case inside(r):
		return actorWatcher, nil
	case s.cfg.Tokens.Len() > 0:
		return s.byToken(r, n)
	case s.cfg.Insecure:
		return actorInsecure, nil
	case !loopback(r):
		return "", &denial{http.StatusForbidden, "without tokens this API answers callers on its own machine only: " + loopbackRemedy}
	}
	return actorLocal, nil
}

func (s *Server) byToken(r *http.Request, n need) (string, error) {
	secret, ok := presented(r)
	if !ok {
		return "", &denial{http.StatusUnauthorized, "a token is required: send it as Authorization: Bearer, or as the password of Basic"}
	}
	t, ok := s.cfg.Tokens.find(secret)
	if !ok {
		return "", &denial{http.StatusUnauthorized, "the token is not known"}
	}
	if n == changes && t.scope != Write {
		return "", &denial{http.StatusForbidden, "the token " + t.name + " may only read: give it the scope write"}
	}
	return t.name, nil
}

// presented is the token that a request carries, as Bearer or as Basic password.
func presented(r *http.Request) (string, bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(secret), true
}

// loopback reports whether the caller is on this machine and meant to call it by a
// loopback name. The Host rule defeats DNS rebinding (a web page whose name was made to
// resolve to 127.0.0.1), the rule on forwarding headers a proxy on this machine (HAProxy
// itself) that passes on strangers.
func loopback(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	return loopbackName(r.Host)
}

func loopbackName(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// sameSite refuses what a browser sends on behalf of another site. Docker Flow Proxy's
// reconfigure is a plain GET, so that any web page could otherwise send it.
func sameSite(r *http.Request) error {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return &denial{http.StatusForbidden, "a web page of another site may not change this proxy"}
	}
	// Over plain HTTP browsers send neither Sec-Fetch-Site nor, for an image's address,
	// Origin: then only Referer tells whose page it is.
	for _, name := range []string{"Origin", "Referer"} {
		value := r.Header.Get(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return &denial{http.StatusForbidden, "a web page of another site may not change this proxy (" + name + " is not this host)"}
		}
	}
	return nil
}
