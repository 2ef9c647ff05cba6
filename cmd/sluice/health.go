package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newHealthcheckCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Exit with 0 while the replica or broker is alive; fails until it was ready once",
		Long: `Exit with 0 while the replica or broker beside it is alive; it fails until it was ready once.

Without --api and SLUICE_API it asks where the same environment lets "sluice run" listen:
SLUICE_API_ADDR, else IP and PORT, else port 8080.`,
		Example: `  sluice healthcheck
  sluice healthcheck --api http://127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.api == "" && p.getenv("SLUICE_API") == "" {
				p.api = ownAPI(readVariables(p.environ))
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

// ownAPI is the URL of what the same environment lets run listen on. An address for
// everybody is asked on loopback, of its own family.
func ownAPI(env variables) string {
	addr := apiAddr(env["SLUICE_API_ADDR"], env)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr // the client says what is wrong with it
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// apiAddr is the address that was given, else Docker Flow Proxy's IP and PORT, else :8080.
func apiAddr(given string, env variables) string {
	if given != "" {
		return given
	}
	return net.JoinHostPort(strings.Trim(env["IP"], "[]"), env.or("PORT", "8080"))
}
