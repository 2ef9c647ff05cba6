package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"sluice/cmd/internal/node"
	"sluice/events/swarm"
)

const defaultDocker = "unix:///var/run/docker.sock"

// dockerFlags say which Docker is watched; the replica and the watcher alone share them.
type dockerFlags struct{ cfg *swarm.Config }

func (f dockerFlags) register(fs *pflag.FlagSet, host, help string) {
	c := f.cfg
	fs.StringVar(&c.Host, "docker-host", host, help)
	fs.StringVar(&c.CertDir, "docker-cert-path", "", "directory of ca.pem, cert.pem and key.pem for a Docker with TLS")
	fs.DurationVar(&c.Interval, "docker-interval", c.Interval, "how often Docker and the state are compared although nothing seems to happen")
	fs.StringVar(&c.NotifyLabel, "notify-label", c.NotifyLabel, "label that asks for a route if it is true")
	fs.StringVar(&c.Prefix, "service-name-prefix", "", "what goes before every name: <prefix>_<name>")
}

// fill takes the variables of Docker Flow Swarm Listener where neither flag nor SLUICE_ variable says anything.
func (f dockerFlags) fill(fs *pflag.FlagSet, env variables) {
	for flag, name := range map[string]string{"docker-host": "DF_DOCKER_HOST", "notify-label": "DF_NOTIFY_LABEL", "service-name-prefix": "DF_SERVICE_NAME_PREFIX"} {
		if value := env[name]; value != "" && !fs.Changed(flag) {
			_ = fs.Set(flag, value) // texts take any value
		}
	}
}

// watchFlags are those of the watcher alone.
type watchFlags struct {
	docker      swarm.Config
	metricsAddr string
	logLevel    string
}

// newWatchCommand is the watcher alone.
func newWatchCommand(p *program) *cobra.Command {
	f := &watchFlags{docker: swarm.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Turn the labels of Docker's services into routes",
		Long: `Watch Docker and keep routes as labels ask: services of a Swarm (Docker has to be a manager), or
containers of a plain host. What has com.df.notify=true is routed by its labels com.df.servicePath,
com.df.port and so on, from when its tasks run until it is removed.

It waits for Docker and the API, and changes nothing while one of them cannot be asked. Several
watchers may run at once. What the API or a person has changed stays until the labels change.

GET /healthz is 200 once Docker and the API were compared to the end, and 503 with the reason before, and
when that was not so for three intervals and a minute. Every flag has a variable: --docker-host is SLUICE_DOCKER_HOST. DF_DOCKER_HOST, DF_NOTIFY_LABEL and
DF_SERVICE_NAME_PREFIX are accepted with their meaning.`,
		Example: `  # on a manager of the Swarm; every replica of the service proxy is tried
  sluice watch --api http://tasks.proxy:8080 --token-file /run/secrets/sluice_watch_token

  # another Docker, with TLS
  sluice watch --docker-host tcp://manager:2376 --docker-cert-path /certs

  # then
  docker service create --name go-demo --network proxy --label com.df.notify=true \
    --label com.df.servicePath=/demo --label com.df.port=8080 go-demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.watch(cmd, f) },
	}
	fs, env := cmd.Flags(), readVariables(p.environ)
	dockerFlags{&f.docker}.register(fs, defaultDocker, "Docker to watch")
	fs.StringVar(&f.metricsAddr, "metrics-addr", "", "address of /metrics and /healthz, host:port (default where \"sluice healthcheck\" asks, "+
		healthAddr(env)+"; none if --api is on this machine)")
	fs.StringVar(&f.logLevel, "log-level", "info", "least level that is logged: debug, info, warn, error")
	interruptible(cmd)
	return cmd
}

// watch runs until it is told to stop.
func (p *program) watch(cmd *cobra.Command, f *watchFlags) error {
	env := readVariables(p.environ)
	errs := []error{env.fillFlags(cmd.Flags())}
	dockerFlags{&f.docker}.fill(cmd.Flags(), env)
	if _, err := zerolog.ParseLevel(f.logLevel); err != nil {
		errs = append(errs, fmt.Errorf("--log-level (SLUICE_LOG_LEVEL) %q is unknown: use debug, info, warn or error", f.logLevel))
	}
	if !cmd.Flags().Changed("metrics-addr") && !onThisMachine(p.base()) {
		f.metricsAddr = healthAddr(env)
	}
	replicas, err := newReplicaSet(p.base(), p.token)
	errs = append(errs, err, f.docker.Validate(), checkMetricsAddr(f.metricsAddr))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg := f.docker
	cfg.Networks = node.OwnNetworks
	cfg.API, cfg.Registerer, cfg.Logger = node.WatchAPI{Clients: replicas.list}, reg, newLogger(cmd.ErrOrStderr(), f.logLevel)
	w, err := swarm.New(cfg)
	if err != nil {
		return err
	}
	cfg.Logger.Info().Str("version", p.version).Str("docker", cfg.Host).Str("api", p.base()).Str("metrics", f.metricsAddr).Msg("sluice watches")
	group, ctx := errgroup.WithContext(cmd.Context())
	if f.metricsAddr != "" {
		l, err := listenMetrics(ctx, f.metricsAddr)
		if err != nil {
			return err
		}
		group.Go(func() error { return serveMetrics(ctx, l, reg, w.Healthy) })
	}
	group.Go(func() error { return w.Run(ctx) })
	return group.Wait()
}

// base is the API that the flags and the environment name.
func (p *program) base() string {
	for _, base := range []string{p.api, p.getenv("SLUICE_API")} {
		if base != "" {
			return base
		}
	}
	return defaultAPI
}

// token is the access token that the flags and the environment name, empty for none.
func (p *program) token() (string, error) {
	if p.tokenFile == "" {
		return strings.TrimSpace(p.getenv("SLUICE_TOKEN")), nil
	}
	data, err := os.ReadFile(p.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read --token-file: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
