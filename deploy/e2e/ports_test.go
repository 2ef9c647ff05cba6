package e2e_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"

	"sluice/deploy/testport"
)

func freePort(t testing.TB) int { t.Helper(); return testport.Free(t) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// occupy listens on a free port until the test ends.
func occupy(t testing.TB) (port int) {
	t.Helper()
	port = freePort(t)
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		t.Fatal(fmt.Errorf("occupy a port: %w", err))
	}
	t.Cleanup(func() { l.Close() })
	return port
}
