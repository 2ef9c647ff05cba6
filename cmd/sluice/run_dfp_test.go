package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/cmd/internal/node"
	"sluice/proxy"
)

// configured is what run makes of an environment, with an empty directory of secrets
// unless files are given by name.
func configured(t *testing.T, env variables, secrets map[string]string) (node.Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range secrets {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := node.DefaultConfig()
	cfg.Proxy.SecretsDir, cfg.Proxy.BindAddr = dir, "127.0.0.1"
	err := applyDFP(&cfg, env)
	return cfg, err
}

func TestStatisticsSettings(t *testing.T) {
	for name, c := range map[string]struct {
		env     variables
		secrets map[string]string
		want    proxy.Stats
	}{
		"off":             {nil, nil, proxy.Stats{URI: "/admin?stats"}},
		"variables":       {variables{"STATS_USER": "u", "STATS_PASS": "p", "STATS_URI": "/s", "STATS_PORT": "8404"}, nil, proxy.Stats{User: "u", Password: "p", URI: "/s", Port: 8404}},
		"a secret wins":   {variables{"STATS_USER": "u", "STATS_PASS": "p"}, map[string]string{"dfp_stats_pass": "q\n"}, proxy.Stats{User: "u", Password: "q", URI: "/admin?stats"}},
		"another name":    {variables{"STATS_USER_ENV": "NAME", "NAME": "u", "STATS_USER": "x", "STATS_PASS": "p"}, nil, proxy.Stats{User: "u", Password: "p", URI: "/admin?stats"}},
		"another secret":  {variables{"STATS_USER": "u", "STATS_PASS_ENV": "WORD"}, map[string]string{"dfp_word": "q"}, proxy.Stats{User: "u", Password: "q", URI: "/admin?stats"}},
		"everybody enter": {variables{"STATS_USER": "none", "STATS_PASS": "none"}, nil, proxy.Stats{User: "none", Password: "none", URI: "/admin?stats"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := configured(t, c.env, c.secrets)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, cfg.Proxy.Stats); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(cfg.Warnings) > 0 {
				t.Errorf("warnings: %q", cfg.Warnings)
			}
		})
	}
}

func TestStatisticsSettingsProblems(t *testing.T) {
	for name, env := range map[string]variables{
		"STATS_PORT":     {"STATS_PORT": "x"},
		"STATS_USER_ENV": {"STATS_USER_ENV": "../../etc/passwd"},
		"STATS_URI":      {"STATS_USER": "u", "STATS_PASS": "topsecret", "STATS_URI": "/a b"},
		"STATS_USER":     {"STATS_USER": "u:v", "STATS_PASS": "topsecret"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := configured(t, env, nil)
			if err == nil {
				err = cfg.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "topsecret") {
				t.Errorf("got %v", err)
			}
		})
	}
	cfg, err := configured(t, variables{"STATS_USER": "u"}, nil)
	if err != nil || len(cfg.Warnings) != 1 {
		t.Errorf("a name alone: %v, warnings %q", err, cfg.Warnings)
	}
}

func TestServicesOfTheEnvironment(t *testing.T) {
	cfg, err := configured(t, variables{
		"DFP_SERVICE_SERVICE_NAME": "plain", "DFP_SERVICE_SERVICE_PATH_2": "/b", "DFP_SERVICE_REPLICAS": "0",
		"DFP_SERVICE_12_SERVICE_NAME": "twelve", "DFP_SERVICE_12_REQ_MODE": "sni", "DFP_SERVICE_3_HTTPS_PORT_1": "443",
		"DFP_SERVICE_3_": "x", "DFP_SERVICE_3_ODD_1": "x", "DFP_SERVICE_3_PORT": "", "DEFAULT_PROTOCOL": "tcp",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []node.Local{
		{
			Prefix:    "DFP_SERVICE_",
			Query:     url.Values{"serviceName": {"plain"}, "servicePath.2": {"/b"}, "reqMode": {"tcp"}},
			Variables: map[string]string{"serviceName": "DFP_SERVICE_SERVICE_NAME", "servicePath.2": "DFP_SERVICE_SERVICE_PATH_2", "replicas": "DFP_SERVICE_REPLICAS", "reqMode": "DEFAULT_PROTOCOL"},
		},
		{
			Prefix:    "DFP_SERVICE_3_",
			Query:     url.Values{"httpsPort.1": {"443"}, "reqMode": {"tcp"}},
			Variables: map[string]string{"httpsPort.1": "DFP_SERVICE_3_HTTPS_PORT_1", "reqMode": "DEFAULT_PROTOCOL"},
		},
		{
			Prefix:    "DFP_SERVICE_12_",
			Query:     url.Values{"serviceName": {"twelve"}, "reqMode": {"sni"}},
			Variables: map[string]string{"serviceName": "DFP_SERVICE_12_SERVICE_NAME", "reqMode": "DFP_SERVICE_12_REQ_MODE"},
		},
	}
	if diff := cmp.Diff(want, cfg.Local); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(cfg.Warnings) != 2 {
		t.Errorf("warnings: %q", cfg.Warnings)
	}
}

// TestProtocolOfServicesAsSecret: a secret wins over its variable here too.
func TestProtocolOfServicesAsSecret(t *testing.T) {
	env := variables{"DFP_SERVICE_SERVICE_NAME": "plain", "DEFAULT_PROTOCOL": "sni"}
	cfg, err := configured(t, env, map[string]string{"dfp_default_protocol": "tcp\n"})
	if err != nil || len(cfg.Local) != 1 || cfg.Local[0].Query.Get("reqMode") != "tcp" {
		t.Errorf("%v: %+v", err, cfg.Local)
	}
}

func TestListenerSettings(t *testing.T) {
	cfg, err := configured(t, variables{"LISTENER_ADDRESS": "swarm-listener,other:8081", "RELOAD_INTERVAL": "250", "REPEAT_RELOAD": "true"}, nil)
	want := node.Listener{Addrs: []string{"swarm-listener", "other:8081"}, Interval: 250 * time.Millisecond, Repeat: true}
	if diff := cmp.Diff(want, cfg.Listener); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for name, env := range map[string]variables{
		"RELOAD_INTERVAL":  {"LISTENER_ADDRESS": "x", "RELOAD_INTERVAL": "0"},
		"LISTENER_ADDRESS": {"LISTENER_ADDRESS": "http://x/?a"},
	} {
		cfg, err := configured(t, env, nil)
		if err == nil {
			err = cfg.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
