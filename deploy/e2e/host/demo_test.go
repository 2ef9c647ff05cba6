package host_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// TestDemoTakesNobodysNames: what is called as something of the demo's keeps it from beginning,
// is not removed, and the Docker becomes no Swarm.
func TestDemoTakesNobodysNames(t *testing.T) {
	socket(t)
	for kind, name := range map[string]string{"volume": "sluice-demo_broker", "network": "sluice-demo_proxy"} {
		t.Run(kind, func(t *testing.T) {
			docker(t, kind, "create", name)
			t.Cleanup(func() { docker(t, kind, "rm", name) }) // fails if the demo has removed it
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			out, err := exec.CommandContext(ctx, "../../demo.sh").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "there is a "+kind+" called "+name+" already") {
				t.Errorf("%v\n%s", err, out)
			}
			if state := docker(t, "info", "-f", "{{.Swarm.LocalNodeState}}"); state != "inactive" {
				t.Errorf("the Swarm is %s", state)
			}
		})
	}
}
