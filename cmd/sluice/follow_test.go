package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"sluice/events/api/apitest"
)

// TestCommandsThatGoOn: what follows shows news at once and ends well when interrupted.
func TestCommandsThatGoOn(t *testing.T) {
	for command, want := range map[string]string{"log --follow": "service/go-demo", "status --watch": "one "} {
		t.Run(command, func(t *testing.T) {
			env := environment(serve(t, apitest.New()), writeToken)
			ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
			defer interrupt()
			out, in := io.Pipe()
			done := make(chan int, 1)
			go func() {
				p := program{environ: env, out: in, err: io.Discard}
				done <- execute(ctx, &p, strings.Fields(command))
				in.Close()
			}()
			if got := sluice(t, env, "", "reconfigure", "go-demo", "--port", "8080", "--service-path", "/demo"); got.code != exitDone {
				t.Fatal(got.err)
			}
			lines := bufio.NewScanner(out)
			found := false
			for !found && lines.Scan() {
				found = strings.Contains(lines.Text(), want)
			}
			interrupt()
			go io.Copy(io.Discard, out)
			if code := <-done; !found || code != exitDone {
				t.Errorf("%q seen: %v, exit %d", want, found, code)
			}
		})
	}
}
