package swarm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// createAlone creates a service of Sluice's image as Docker Flow Proxy's users have theirs:
// no command, no log, some variables.
func createAlone(t *testing.T, name string, args ...string) {
	t.Helper()
	args = append([]string{"service", "create", "--detach", "--name", name, "--network", network, "--endpoint-mode", "dnsrr",
		"-e", "SERVICE_NAME=" + name, "-e", "SLUICE_INSECURE_API=true"}, args...)
	docker(t, append(args, "sluice:latest")...)
	showLogs(t, name)
	t.Cleanup(func() { docker(t, "service", "rm", name) })
}

// printedRemedy is nil if a task told which lines a stack needs for several replicas.
func printedRemedy(service string) error {
	text, err := said(context.Background(), service)
	if err != nil {
		return err
	}
	for _, line := range []string{"SLUICE_NATS_URL: nats://broker:4222", "command: [broker]", "networks: [default] # one of those of " + service, "docker secret create sluice_nats_token"} {
		if !strings.Contains(text, line) {
			return fmt.Errorf("no %s in %s", line, text)
		}
	}
	return nil
}

// TestImageAloneTakesDFPsPlace: one replica with its log in itself, on any port, needs nothing
// but the image; a second one stays out and says what is missing, and the first serves on.
func TestImageAloneTakesDFPsPlace(t *testing.T) {
	createAlone(t, "alone", "-e", "PORT=8888")
	first := waitHealthy(t, "alone", 1)
	if _, err := get("http://alone:8888/v1/docker-flow-proxy/reconfigure?serviceName=" + demo + "&servicePath=/demo&port=8080"); err != nil {
		t.Fatal(err)
	}
	docker(t, "service", "scale", "--detach", "alone=2")
	eventually(t, patience, "the second prints the remedy", func() error { return printedRemedy("alone") })
	for _, c := range containers(t, "alone") {
		_, err := try(t.Context(), "", "exec", c, "sluice", "healthcheck")
		if serves := c == first[0]; serves != (err == nil) {
			t.Errorf("health of %.12s, serving %v: %v", c, serves, err)
		}
	}
	for range 20 {
		if body, err := get("http://alone/demo/hello"); err != nil || !strings.Contains(body, hello) {
			t.Fatalf("the first does not serve on: %v %s", err, body)
		}
	}
}

// TestReplicasWithoutALogThatStartTogether: one of them serves, the others stay out.
func TestReplicasWithoutALogThatStartTogether(t *testing.T) {
	createAlone(t, "together", "--replicas", "3", "--restart-delay", "1s")
	eventually(t, patience, "one of three is in the DNS", func() error {
		out, err := try(t.Context(), "", "exec", tools, "load", "each", "http://tasks.together:8080/readyz")
		if n := strings.Count(out, `"Status":200`); err != nil || n != 1 || strings.Count(out, "\n") > 0 {
			return errors.Join(err, fmt.Errorf("%d are ready: %s", n, out))
		}
		return printedRemedy("together")
	})
}
