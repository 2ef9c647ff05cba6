package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"

	"sluice/events/api"
)

// foreignAPI asks where another replica has its API, as this one has at addr. What takes no
// connection there is not Sluice: Docker's DNS has a task only once it is healthy.
func foreignAPI(addr string) func(context.Context, netip.Addr) bool {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: siblingsTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context, other netip.Addr) bool {
		host, port, err := net.SplitHostPort(addr)
		if ip := net.ParseIP(host); err != nil || host != "" && (ip == nil || !ip.IsUnspecified()) {
			return false // only this machine may ask
		}
		c, err := api.NewClient(api.ClientConfig{Base: "http://" + net.JoinHostPort(other.String(), port), HTTP: client})
		if err != nil {
			return false
		}
		err = c.Recognise(ctx)
		return errors.Is(err, api.ErrForeign) || errors.Is(err, syscall.ECONNREFUSED)
	}
}
