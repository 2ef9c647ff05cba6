package e2e_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// lastPort counts below the ports that the kernel gives to outgoing connections (32768
// and up), so that no connection takes a port between its choice and its use.
var lastPort atomic.Int64

func freePort(t testing.TB) int {
	t.Helper()
	lastPort.CompareAndSwap(0, 12000+int64(os.Getpid()%150)*100)
	for range 2000 {
		port := int(lastPort.Add(1))
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port")
	return 0
}

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
