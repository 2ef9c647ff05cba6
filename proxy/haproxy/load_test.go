package haproxy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sluice/deploy/testport"
	"sluice/proxy/haproxy"
)

// TestEachRefusedLoadIsToldAtOnce: HAProxy from 3.1 on counts only the first of several refused
// loads in a row, so that who waits for the count learns of the next ones when their time is up.
func TestEachRefusedLoadIsToldAtOnce(t *testing.T) {
	binary, err := haproxy.Find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := haproxy.Config{
		Binary: binary, ConfigFile: filepath.Join(dir, "a.cfg"), PoolFile: filepath.Join(dir, "b.cfg"),
		Socket: filepath.Join(dir, "s"), MasterSocket: filepath.Join(dir, "m"), Logger: zerolog.Nop(),
	}
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(cfg.PoolFile, fmt.Sprintf("frontend f\n  mode http\n  timeout client 1s\n  bind 127.0.0.1:%d\n", testport.Free(t)))
	p := haproxy.New(cfg)
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for generation := uint64(1); generation < 6; generation++ {
		bad := generation > 1 && generation < 5
		text := fmt.Sprintf("global\n  stats socket %s level admin expose-fd listeners\n  description gen-%d\n", cfg.Socket, generation)
		if bad {
			text += "  bogus\n"
		}
		write(cfg.ConfigFile, text)
		err := p.Load(t.Context(), generation)
		switch {
		case bad && (err == nil || !strings.Contains(err.Error(), "kept the previous configuration") || !strings.Contains(err.Error(), "bogus")):
			t.Errorf("load %d: %v", generation, err)
		case !bad && err != nil:
			t.Errorf("load %d: %v", generation, err)
		}
	}
}
