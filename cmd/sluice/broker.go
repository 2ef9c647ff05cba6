package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/cmd/internal/node"
)

// newBrokerCommand is the log node. environ is the environment, as os.Environ returns it.
func newBrokerCommand(version string, environ []string) *cobra.Command {
	flags := &brokerFlags{cfg: node.DefaultBrokerConfig()}
	flags.cfg.HealthAddr = healthAddr(readVariables(environ))
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run a log node: a NATS server with the durable log, no proxy",
		Long: `Run a log node: one NATS server that keeps the log of all replicas in its data directory and
acknowledges nothing before it is on the disk. Replicas, which keep nothing themselves, name
it with --nats-url.

The data directory belongs on a volume. It remembers whom it belongs to: a store of another
kind of broker, or one that another process uses, is refused. A broker that comes back with
its volume has everything; one that comes back empty is filled again by the replicas.

Clients are known by one shared token, by nkeys, or by certificates. Every flag has a
variable: --nats-listen is SLUICE_NATS_LISTEN. GET /healthz at --health-addr is 200 while the
store works, and 503 with the remedy when its disk is full; once there is room the broker goes on
by itself. "sluice healthcheck" asks exactly there, in the same environment. SIGTERM and SIGINT
write the store out and end the broker within 10 seconds.`,
		Example: `  # in a container: the token is the secret sluice_nats_token, the log is in /var/lib/sluice
  sluice broker

  # on loopback, for a look; no token is needed there
  sluice broker --nats-listen 127.0.0.1:4222 --data-dir ./data
  sluice run --nats-url nats://127.0.0.1:4222 --api-addr :8081

  # replicas with nkeys of their own, and TLS
  sluice broker --nats-nkeys-file keys --nats-cert broker.pem --nats-key broker.key
  sluice run --nats-url tls://broker:4222 --nats-nkey-seed seed --nats-ca ca.pem`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := flags.config(cmd.Flags(), readVariables(environ))
			cfg.Version, cfg.Logger = version, newLogger(cmd.ErrOrStderr(), flags.logLevel)
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			// A second signal ends the program at once.
			defer context.AfterFunc(ctx, stop)()
			return node.RunBroker(ctx, cfg)
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

// brokerFlags holds what the flags of broker say.
type brokerFlags struct {
	cfg      node.BrokerConfig
	logLevel string
}

func (f *brokerFlags) register(fs *pflag.FlagSet) {
	c := &f.cfg
	fs.StringVar(&c.DataDir, "data-dir", c.DataDir, "directory of the log, on a volume; of this process alone")
	fs.StringVar(&c.SecretsDir, "secrets-dir", c.SecretsDir, "directory of secrets")
	fs.StringVar(&c.Listen, "nats-listen", c.Listen, "address of NATS's clients, host:port")
	fs.StringVar(&c.HealthAddr, "health-addr", c.HealthAddr, "address of GET /healthz, host:port")
	fs.StringVar(&c.TokenFile, "nats-token-file", "", "file with the token of all clients (default secret sluice_nats_token)")
	fs.StringVar(&c.NKeysFile, "nats-nkeys-file", "", "file with the public nkeys of clients, one a line (default secret sluice_nats_nkeys)")
	fs.StringVar(&c.TLS.CertFile, "nats-cert", "", "certificate of the broker; with it, clients must use TLS")
	fs.StringVar(&c.TLS.KeyFile, "nats-key", "", "key of the broker's certificate")
	fs.StringVar(&c.TLS.ClientCAFile, "nats-client-ca", "", "PEM bundle; with it, clients need a certificate that it vouches for")
	fs.Int64Var(&c.MaxStore, "max-store", 0, "limit of the store in bytes, from 64 MiB on; a log takes 4 GiB of it if nobody sets another size, less if it is smaller; it is never lowered (default 8 GiB or 80 % of the free disk)")
	fs.StringVar(&f.logLevel, "log-level", "info", "least level that is logged: debug, info, warn, error")
}

// config joins flags and SLUICE_ variables, flags first. What cannot be read is left to
// node.RunBroker, which tells all problems at once.
func (f *brokerFlags) config(fs *pflag.FlagSet, env variables) node.BrokerConfig {
	err := errors.Join(env.fillFlags(fs), makeAbsolute(fs, "data-dir", "secrets-dir"))
	if _, levelErr := zerolog.ParseLevel(f.logLevel); levelErr != nil {
		err = errors.Join(err, fmt.Errorf("--log-level (SLUICE_LOG_LEVEL) %q is unknown: use debug, info, warn or error", f.logLevel))
	}
	f.cfg.Problems = err
	return f.cfg
}
