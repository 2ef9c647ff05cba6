// Package testport is for tests only: it finds ports that stay free between their choice and
// their use.
package testport

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// The blocks are below the ports that the kernel gives to outgoing connections and to listeners
// that do not ask for one (32768 and up).
const (
	lowest   = 12_000
	perBlock = 1_000
	blocks   = 20
)

// mine is the block of this test program.
var mine struct {
	sync.Mutex
	hold  net.Listener // of its first port, until the program ends: nobody else takes the block
	first int
	last  int // the port that was given out last, from first
}

// Free is a port that nobody listens on at any of the addresses of this machine; none given:
// 127.0.0.1. Safe for concurrent use; no port comes twice before all did once.
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
	mine.Lock()
	defer mine.Unlock()
	if err := takeBlock(); err != nil {
		return 0, err
	}
	if len(addrs) == 0 {
		addrs = []string{"127.0.0.1"}
	}
	for range perBlock {
		mine.last = mine.last%(perBlock-1) + 1
		if port := mine.first + mine.last; free(port, addrs) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port is free on %s", addrs)
}

func takeBlock() error {
	for i := 0; mine.hold == nil && i < blocks; i++ {
		mine.first = lowest + (os.Getpid()+i)%blocks*perBlock
		mine.hold = listen("127.0.0.1", mine.first)
	}
	if mine.hold == nil {
		return fmt.Errorf("no block of ports is free from %d on", lowest)
	}
	return nil
}

func free(port int, addrs []string) bool {
	for _, addr := range addrs {
		l := listen(addr, port)
		if l == nil {
			return false
		}
		_ = l.Close() // it has served
	}
	return true
}

// listen is nil if the port is taken.
func listen(addr string, port int) net.Listener {
	l, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(port)))
	if err != nil {
		return nil
	}
	return l
}
