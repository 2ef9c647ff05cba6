// Package testport is for tests only: it finds ports that stay free between their choice and
// their use.
package testport

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// last counts below the ports that the kernel gives to outgoing connections and to listeners
// that do not ask for one (32768 and up), from another place in each process.
var last atomic.Int64

// Free is a port that nobody listens on at any of the addresses of this machine; none given:
// 127.0.0.1.
func Free(tb testing.TB, addrs ...string) int {
	tb.Helper()
	port, err := Find(addrs...)
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

// FreeAddr is 127.0.0.1 with a free port.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(Free(tb)))
}

// Find is Free where there is no test yet.
func Find(addrs ...string) (int, error) {
	if len(addrs) == 0 {
		addrs = []string{"127.0.0.1"}
	}
	last.CompareAndSwap(0, 12000+int64(os.Getpid()%150)*100)
	for range 2000 {
		if port := int(last.Add(1)); free(port, addrs) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port is free on %s", addrs)
}

func free(port int, addrs []string) bool {
	for _, addr := range addrs {
		l, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
