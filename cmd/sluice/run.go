package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/cmd/internal/node"
)

// newRunCommand is the proxy replica. environ is the environment, as os.Environ returns it.
func newRunCommand(version string, environ []string) *cobra.Command {
	flags := newRunFlags()
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a proxy replica: API, log, state and HAProxy",
		Long: `Run a proxy replica: the API, the log (embedded unless --nats-url names one), the
replicated state, and a HAProxy that serves it.

Every flag has a variable: --nats-url is SLUICE_NATS_URL. The variables and dfp_* secrets
of Docker Flow Proxy are accepted with their meaning; one that has no effect is named in
a warning at start.

The replica is ready (GET /readyz) once its state is restored and HAProxy serves it; until
then the HTTP ports are closed. SIGTERM drains it for 5 seconds first, SIGINT does not.`,
		Example: `  # one node on loopback, unprivileged
  DEFAULT_PORTS=8000,8443:ssl sluice run --api-addr 127.0.0.1:8080 --bind-addr 127.0.0.1 \
    --data-dir ./data --cfg-dir ./cfg --certs-dir ./certs

  # one of several replicas on a shared NATS, with Consul for snapshots
  sluice run --nats-url nats://nats:4222 --consul-addr consul:8500`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := flags.config(cmd.Flags(), readVariables(environ))
			cfg.Version = version
			cfg.Logger = newLogger(cmd.ErrOrStderr(), flags.logLevel)
			tune(readVariables(environ))
			return runNode(cmd.Context(), cfg)
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

// runNode runs until SIGINT, or SIGTERM with draining; a second signal ends the program.
func runNode(ctx context.Context, cfg node.Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			if s == syscall.SIGTERM {
				cancel(node.ErrDrain)
			}
			cancel(context.Canceled)
		case <-ctx.Done():
		}
	}()
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return err
	}
	return n.Run(ctx)
}

// newLogger writes for people on a terminal, JSON otherwise.
func newLogger(w io.Writer, level string) zerolog.Logger {
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		parsed = zerolog.InfoLevel
	}
	return zerolog.New(w).Level(parsed).With().Timestamp().Logger()
}

// runFlags holds what the flags of run say.
type runFlags struct {
	cfg      node.Config
	bindAddr string
	consul   []string
	logLevel string
}

func newRunFlags() *runFlags { return &runFlags{cfg: node.DefaultConfig()} }

func (f *runFlags) register(fs *pflag.FlagSet) {
	c, p := &f.cfg, &f.cfg.Proxy
	fs.StringVar(&c.Name, "name", c.Name, "shown name of this replica")
	fs.StringVar(&c.APIAddr, "api-addr", "", "address of the API, host:port (default $IP:$PORT, else :8080)")
	fs.StringVar(&c.DataDir, "data-dir", c.DataDir, "directory of the embedded log, of accepted changes that the log lacks, and of the last good state; of this process alone")
	fs.StringVar(&p.CfgDir, "cfg-dir", p.CfgDir, "directory of haproxy.cfg and its maps")
	fs.StringVar(&p.CertsDir, "certs-dir", p.CertsDir, "directory of certificates")
	fs.StringVar(&p.ErrorfilesDir, "errorfiles-dir", p.ErrorfilesDir, "directory of error pages, e.g. 503.http")
	fs.StringVar(&p.SecretsDir, "secrets-dir", p.SecretsDir, "directory of secrets")
	fs.StringVar(&p.TemplatesDir, "templates-dir", "", "the only directory that templateFePath and templateBePath may name (default none)")
	fs.StringVar(&c.HAProxy, "haproxy", "", "HAProxy program, at least 2.6 (default from PATH)")
	fs.StringVar(&c.Namespace, "namespace", "", "prefix of subjects, stream and snapshots (default $PROXY_INSTANCE_NAME, else docker-flow)")
	fs.StringVar(&c.NATS.URL, "nats-url", "", "external NATS, a comma list of addresses (default: embedded)")
	fs.StringVar(&c.NATS.Listen, "nats-listen", c.NATS.Listen, "client address of the embedded NATS")
	fs.StringVar(&c.NATS.TokenFile, "nats-token-file", "", "file with the token of NATS's clients (default secret sluice_nats_token)")
	fs.StringVar(&c.NATS.CredsFile, "nats-creds", "", "NATS credentials file")
	fs.StringVar(&c.NATS.NKeySeedFile, "nats-nkey-seed", "", "file with an nkey seed")
	fs.StringVar(&c.NATS.CAFile, "nats-ca", "", "PEM bundle that NATS's certificate is checked with")
	fs.StringVar(&c.NATS.CertFile, "nats-cert", "", "client certificate for NATS")
	fs.StringVar(&c.NATS.KeyFile, "nats-key", "", "key of the client certificate for NATS")
	fs.Int64Var(&c.NATS.LogSize, "log-size", 0, "limit of the log in bytes; from half of it on its oldest events go, what they made stays (default 4 GiB, or half, a quarter, … where the server has no room)")
	fs.IntVar(&c.NATS.LogReplicas, "log-replicas", 0, "how many nodes of a NATS cluster keep the log: 1, 3 or 5 (default 3 if there are so many)")
	fs.DurationVar(&c.CheckpointEvery, "checkpoint-every", c.CheckpointEvery, "how often a changing state is kept beside the log")
	fs.StringSliceVar(&c.Peers.Names, "peers", nil, "name of all replicas, e.g. tasks.proxy, or a comma list: they keep each other up to date without the log")
	fs.StringVar(&c.Peers.Listen, "peers-listen", c.Peers.Listen, "where the other replicas reach this one, with --peers")
	fs.StringVar(&c.Peers.SecretFile, "peers-secret-file", "", "file with the secret that all replicas have (default secret sluice_peers_secret, else made of the cluster key)")
	fs.StringSliceVar(&f.consul, "consul-addr", nil, "Consul for snapshots, a comma list of host:port (default $CONSUL_ADDRESS)")
	fs.StringVar(&c.Consul.Prefix, "consul-prefix", c.Consul.Prefix, "Consul key prefix of the readable mirror")
	fs.StringVar(&c.Consul.TokenFile, "consul-token-file", "", "file with Consul's access token")
	fs.StringVar(&c.ClusterKeyFile, "cluster-key-file", "", "key that seals secrets in the log (default secret sluice_cluster_key)")
	fs.StringVar(&c.TokensFile, "tokens-file", "", "access tokens, lines name:token[:scope] (default secret sluice_tokens)")
	dockerFlags{&c.Docker}.register(fs, "", "Docker whose labels make routes, e.g. "+defaultDocker+" (default none)")
	fs.BoolVar(&c.InsecureAPI, "insecure-api", false, "let anybody who reaches the API change the proxy")
	fs.StringVar(&f.bindAddr, "bind-addr", "*", "address of every port that has none of its own")
	fs.BoolVar(&c.AllowRawConfig, "allow-raw-config", false, "accept backendExtra and free header conditions")
	fs.BoolVar(&c.NoBootstrap, "no-bootstrap", false, "never start a new log by itself")
	fs.StringVar(&f.logLevel, "log-level", "info", "least level that is logged: debug, info, warn, error")
}

// config joins flags, SLUICE_ variables and Docker Flow Proxy's variables, in this order of
// precedence. What cannot be read is left to node.Open, which tells all problems at once.
func (f *runFlags) config(fs *pflag.FlagSet, env variables) node.Config {
	errs := []error{env.fillFlags(fs)}
	if _, err := zerolog.ParseLevel(f.logLevel); err != nil {
		errs = append(errs, fmt.Errorf("--log-level (SLUICE_LOG_LEVEL) %q is unknown: use debug, info, warn or error", f.logLevel))
	}
	dockerFlags{&f.cfg.Docker}.fill(fs, env)
	f.cfg.Proxy.BindAddr = f.bindAddr
	f.cfg.Consul.Addrs = f.consul
	errs = append(errs, makeAbsolute(fs, "data-dir", "cfg-dir", "certs-dir", "errorfiles-dir", "secrets-dir", "templates-dir"))
	errs = append(errs, applyDFP(&f.cfg, env))
	if !fs.Changed("consul-addr") && env["CONSUL_ADDRESS"] != "" {
		f.cfg.Consul.Addrs = strings.Split(env["CONSUL_ADDRESS"], ",")
	}
	if f.cfg.Namespace == "" {
		f.cfg.Namespace = f.cfg.Instance
	}
	f.cfg.APIAddr = apiAddr(f.cfg.APIAddr, env)
	f.cfg.Problems = errors.Join(errs...)
	return f.cfg
}
