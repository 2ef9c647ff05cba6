package main

import (
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newHealthcheckCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Exit with 0 while the replica, broker or watcher is alive; fails until it was ready once",
		Long: `Exit with 0 while the replica, broker or watcher beside it is alive; it fails until that was ready once.

It asks --api, else what the same environment lets run here: SLUICE_METRICS_ADDR of a watcher,
SLUICE_HEALTH_ADDR of a broker, SLUICE_API if that is on this machine (in a watcher's environment
it names the replicas), SLUICE_API_ADDR of a replica, IP and PORT, port 8080.`,
		Example: `  sluice healthcheck
  sluice healthcheck --api http://127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.api == "" {
				p.api = ownURL(readVariables(p.environ))
			}
			client, err := p.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			return client.Health(ctx)
		},
	}
}

// ownURL is the URL of what runs beside, in the same environment.
func ownURL(env variables) string {
	for _, name := range []string{"SLUICE_METRICS_ADDR", "SLUICE_HEALTH_ADDR"} {
		if env[name] != "" {
			return "http://" + reachable(env[name])
		}
	}
	if base := env["SLUICE_API"]; base != "" && onThisMachine(base) {
		return base
	}
	return "http://" + healthAddr(env)
}

// healthAddr is where what the same environment lets run answers a health check on its own
// machine: run listens there for everybody, or for this machine alone.
func healthAddr(env variables) string { return reachable(apiAddr(env["SLUICE_API_ADDR"], env)) }

// reachable is how to reach what listens on addr. An address for everybody is asked on
// loopback, of its own family.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr // whoever uses it says what is wrong with it
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// onThisMachine reports whether one of a comma list of URLs is on loopback.
func onThisMachine(list string) bool {
	for base := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(base))
		if err != nil {
			continue
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return true
		}
	}
	return false
}

// apiAddr is the address that was given, else Docker Flow Proxy's IP and PORT, else :8080.
func apiAddr(given string, env variables) string {
	if given != "" {
		return given
	}
	return net.JoinHostPort(strings.Trim(env["IP"], "[]"), env.or("PORT", "8080"))
}
