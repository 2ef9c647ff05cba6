package swarm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	// commandTimeout bounds each call of docker, some of which wait until a service is updated.
	commandTimeout = 10 * time.Minute
	// patience is how long a test waits for what takes seconds on a quiet machine.
	patience = 3 * time.Minute
)

// try runs docker with input and returns what it writes.
func try(ctx context.Context, input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	var out, problem bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problem
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), errors.Join(ctx.Err(), err), strings.TrimSpace(problem.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// said is the end of what the tasks of a service have logged, on both of their outputs.
func said(ctx context.Context, service string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "service", "logs", "--raw", "--tail", "40", service).CombinedOutput()
	return string(out), err
}

// docker runs docker and expects that it works.
func docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := try(context.WithoutCancel(t.Context()), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// lines are the words of an output, one a line; none of an empty one.
func lines(out string) []string { return strings.Fields(out) }

// eventually waits until check returns nil.
func eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	since := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			t.Logf("%s: after %v", what, time.Since(since).Round(100*time.Millisecond))
			return
		}
		if time.Since(since) > within {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		<-tick.C
	}
}

// containers are the running containers of a service.
func containers(t testing.TB, service string) []string {
	t.Helper()
	return lines(docker(t, "ps", "-q", "--no-trunc", "--filter", "label=com.docker.swarm.service.name="+service))
}

// healthy are those that its health check has found well.
func healthy(t testing.TB, service string) []string {
	t.Helper()
	return lines(docker(t, "ps", "-q", "--no-trunc", "--filter", "label=com.docker.swarm.service.name="+service, "--filter", "health=healthy"))
}

// waitHealthy waits until exactly n containers of the service run, all of them healthy, and
// returns them.
func waitHealthy(t testing.TB, service string, n int) []string {
	t.Helper()
	var found []string
	eventually(t, 2*patience, fmt.Sprintf("%d healthy tasks of %s", n, service), func() error {
		all := containers(t, service)
		if found = healthy(t, service); len(found) != n || len(all) != n {
			return fmt.Errorf("%d healthy of %d", len(found), len(all))
		}
		return nil
	})
	return found
}

// scale sets the number of tasks and waits until they are there.
func scale(t testing.TB, service string, n int) []string {
	t.Helper()
	docker(t, "service", "scale", "--detach", fmt.Sprintf("%s=%d", service, n))
	return waitHealthy(t, service, n)
}

// address is a container's on a network.
func address(t testing.TB, container, network string) string {
	t.Helper()
	return docker(t, "inspect", "-f", fmt.Sprintf("{{(index .NetworkSettings.Networks %q).IPAddress}}", network), container)
}

// showLogs prints the end of the services' logs if the test has failed.
func showLogs(t testing.TB, services ...string) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(logs(context.Background(), services...))
		}
	})
}

// logs are the tasks of services and the end of what they said, as far as Docker tells.
func logs(ctx context.Context, services ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var b strings.Builder
	for _, service := range services {
		ps, err := try(ctx, "", "service", "ps", "--no-trunc", "--format", "{{.Name}} {{.CurrentState}} {{.Error}}", service)
		text, logErr := said(ctx, service)
		fmt.Fprintf(&b, "--- %s\n%s\n%s\n", service, ps, text)
		if err := errors.Join(err, logErr); err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	return b.String()
}
