package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sluice/events/broker"
)

const (
	healthInterval = time.Second
	healthTimeout  = 5 * time.Second
	brokerGrace    = 10 * time.Second
)

// BrokerConfig is everything a log node is told from outside. DefaultBrokerConfig gives the
// defaults.
type BrokerConfig struct {
	// DataDir holds the log; it belongs on a volume.
	DataDir string
	// SecretsDir is where secrets without a flag of their own are looked for.
	SecretsDir string
	// Listen is the address of NATS's clients, HealthAddr that of GET /healthz.
	Listen, HealthAddr string
	// TokenFile holds the token of all clients; empty: the secret sluice_nats_token, if any.
	// NKeysFile holds public nkeys instead, one a line.
	TokenFile, NKeysFile string
	TLS                  broker.TLS
	// MaxStore limits the store, in bytes; 0: 8 GiB or 80 % of what the disk has free.
	MaxStore int64

	// Problems is what the settings could not even be read for; RunBroker tells it with the rest.
	Problems error
	Version  string
	Logger   zerolog.Logger
}

// DefaultBrokerConfig returns the defaults of the container image.
func DefaultBrokerConfig() BrokerConfig {
	return BrokerConfig{
		DataDir: "/var/lib/sluice", SecretsDir: "/run/secrets", Listen: ":4222", HealthAddr: "127.0.0.1:8080",
	}
}

const (
	setHealth setting = "--health-addr (SLUICE_HEALTH_ADDR)"
	setNKeys  setting = broker.SettingNKeys
)

// RunBroker runs a log node until ctx ends or the server does. Errors of the configuration
// come all at once, before anything starts.
func RunBroker(ctx context.Context, cfg BrokerConfig) error {
	settings, err := cfg.settings()
	if err != nil {
		return err
	}
	health, err := net.Listen("tcp", cfg.HealthAddr)
	if err != nil {
		return setHealth.problem(cfg.HealthAddr, fmt.Sprintf("cannot be listened on (%v)", err), "choose a free address")
	}
	defer health.Close()
	b, err := broker.Start(ctx, settings)
	if err != nil {
		return err
	}
	cfg.Logger.Info().Str("version", cfg.Version).Str("nats", b.ClientURL()).Str("data_dir", cfg.DataDir).
		Int64("max_store", b.MaxStore()).Msg("sluice broker runs")
	err = errors.Join(serveBroker(ctx, b, health), shutDown(ctx, b))
	cfg.Logger.Info().Msg("sluice broker has stopped")
	return err
}

// serveBroker tells about the server's health until ctx ends, or the server did by itself.
func serveBroker(ctx context.Context, b *broker.Server, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := b.Healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, `{"status":"alive"}`)
	})
	server := &http.Server{Handler: mux, ReadTimeout: healthTimeout, WriteTimeout: healthTimeout}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	err := awaitBroker(ctx, b, served)
	return errors.Join(err, server.Close())
}

func awaitBroker(ctx context.Context, b *broker.Server, served <-chan error) error {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("serve %s: %w", setHealth, err)
		case <-tick.C:
			if !b.Running() {
				return errors.New("the NATS server ended by itself: see its last messages")
			}
		}
	}
}

func shutDown(ctx context.Context, b *broker.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokerGrace)
	defer cancel()
	return b.Shutdown(ctx)
}

// settings joins all problems of the configuration.
func (c BrokerConfig) settings() (broker.Config, error) {
	out := broker.Config{
		StoreDir: filepath.Join(c.DataDir, "log"), Listen: c.Listen, MaxStore: c.MaxStore, TLS: c.TLS, Logger: c.Logger,
		LockWait: lockWait,
	}
	errs := []error{c.Problems, checkAddr(setHealth, c.HealthAddr), checkDirectory(c.DataDir, setDataDir)}
	if c.Listen == "" { // which the server takes for none
		errs = append(errs, checkAddr(setListen, ""))
	}
	var tokenErr, keysErr error
	var keys string
	out.Token, tokenErr = natsToken(secretPath(c.SecretsDir, c.TokenFile, "sluice_nats_token"))
	keys, keysErr = secretText(secretPath(c.SecretsDir, c.NKeysFile, "sluice_nats_nkeys"), setNKeys)
	out.NKeys = strings.Fields(keys)
	errs = append(errs, tokenErr, keysErr, out.Validate(), nil)
	if tokenErr == nil && keysErr == nil {
		errs[len(errs)-1] = c.problemOfAccess(out)
	}
	return out, errors.Join(errs...)
}

// problemOfAccess refuses a log that anybody could write.
func (c BrokerConfig) problemOfAccess(b broker.Config) error {
	known := b.Token != "" || len(b.NKeys) > 0 || c.TLS.ClientCAFile != ""
	if known || checkAddr(setListen, c.Listen) != nil || loopback(c.Listen) {
		return nil
	}
	return setListen.problem(c.Listen, "would let anybody on the network write the log",
		"give clients a token with "+string(setNATSToken)+", name their keys with "+string(setNKeys)+", or listen on 127.0.0.1")
}

// natsToken is the first line of a file, which is what clients take of it; "" without a path.
func natsToken(path string) (string, error) {
	text, err := secretText(path, setNATSToken)
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line), err
}

// secretText is the text of a file, which must not be empty; "" without a path.
func secretText(path string, s setting) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := readSecret(path, s)
	if err == nil && text == "" {
		err = s.problem(path, "is empty", "write the secret into it")
	}
	return text, err
}

// secretPath is the path of an explicit file, else of a Swarm secret that exists, else empty.
func secretPath(dir, file, name string) string {
	if file != "" {
		return file
	}
	path := filepath.Join(dir, name)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return path
	}
	return ""
}
