package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
