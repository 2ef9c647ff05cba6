package node

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"sluice/deploy/testport"
)

// brokerConfig is a broker on free ports of loopback.
func brokerConfig(t *testing.T) BrokerConfig {
	t.Helper()
	cfg := DefaultBrokerConfig()
	cfg.DataDir, cfg.SecretsDir = t.TempDir(), t.TempDir()
	cfg.Listen, cfg.HealthAddr = testport.FreeAddr(t), testport.FreeAddr(t)
	cfg.MaxStore, cfg.Logger = 128<<20, zerolog.Nop()
	return cfg
}

// startBroker runs it until the test ends, when it must end without an error.
func startBroker(t *testing.T, cfg BrokerConfig) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- RunBroker(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("broker: %v", err)
			}
		case <-time.After(patience):
			t.Error("the broker does not end")
		}
	})
	deadline := time.Now().Add(patience)
	for {
		res, err := http.Get("http://" + cfg.HealthAddr + "/healthz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the broker is not healthy: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func secretFile(t *testing.T, cfg BrokerConfig, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(cfg.SecretsDir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBrokerAdmits(t *testing.T) {
	t.Run("whoever has the token", func(t *testing.T) {
		cfg := brokerConfig(t)
		secretFile(t, cfg, "sluice_nats_token", "a token\n")
		startBroker(t, cfg)
		nc, err := nats.Connect("nats://"+cfg.Listen, nats.Token("a token"), nats.Timeout(patience))
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
		if nc, err := nats.Connect("nats://" + cfg.Listen); err == nil {
			nc.Close()
			t.Error("a client without the token is let in")
		}
	})
	t.Run("whoever has a key", func(t *testing.T) {
		cfg := brokerConfig(t)
		known, other := userKey(t), userKey(t)
		secretFile(t, cfg, "sluice_nats_nkeys", known.public+"\n")
		startBroker(t, cfg)
		nc, err := nats.Connect("nats://"+cfg.Listen, nats.Nkey(known.public, known.pair.Sign), nats.Timeout(patience))
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
		if nc, err := nats.Connect("nats://"+cfg.Listen, nats.Nkey(other.public, other.pair.Sign)); err == nil {
			nc.Close()
			t.Error("a client with another key is let in")
		}
	})
}

type key struct {
	pair   nkeys.KeyPair
	public string
}

func userKey(t *testing.T) key {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key{pair, public}
}

func TestBrokerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, cfg *BrokerConfig)
		want   []string
	}{
		"a log that anybody can write": {func(_ *testing.T, cfg *BrokerConfig) { cfg.Listen = ":0" }, []string{"--nats-listen", "--nats-token-file"}},
		"an empty token":               {func(t *testing.T, cfg *BrokerConfig) { secretFile(t, *cfg, "sluice_nats_token", "\n") }, []string{"--nats-token-file", "is empty"}},
		"token and keys": {func(t *testing.T, cfg *BrokerConfig) {
			secretFile(t, *cfg, "sluice_nats_token", "x")
			secretFile(t, *cfg, "sluice_nats_nkeys", "y")
		}, []string{"--nats-token-file", "--nats-nkeys-file", "one of them"}},
		"a seed for a public key": {func(t *testing.T, cfg *BrokerConfig) { secretFile(t, *cfg, "sluice_nats_nkeys", "SUASECRET") }, []string{"begins with U"}},
		"half a certificate":      {func(_ *testing.T, cfg *BrokerConfig) { cfg.TLS.CertFile = "x" }, []string{"--nats-key"}},
		"all problems at once": {func(_ *testing.T, cfg *BrokerConfig) {
			cfg.Listen, cfg.HealthAddr = "x", "y"
		}, []string{"--nats-listen", "--health-addr"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := brokerConfig(t)
			c.change(t, &cfg)
			err := RunBroker(t.Context(), cfg)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "SECRET") {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}
