package e2e_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// ports are those that the programs of these tests listen on: below the ones that the kernel gives
// to outgoing connections (32768 and up), so that no connection takes a port between its choice and
// its use, or while a program is away. They come in blocks of a thousand of which each test program
// has its own, since two of them run side by side.
var ports struct {
	sync.Mutex
	block net.Listener // holds the block by its first port until the program ends
	first int
	last  int // the one that was given out last
}

const (
	lowestPort    = 12_000
	portsPerBlock = 1_000
	portBlocks    = 20
)

func freePort(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for i := 0; ports.block == nil && i < portBlocks; i++ {
		ports.first = lowestPort + (os.Getpid()+i)%portBlocks*portsPerBlock
		ports.block = listen(ports.first)
	}
	if ports.block == nil {
		t.Fatal("no free block of ports")
	}
	for range portsPerBlock {
		ports.last = ports.last%(portsPerBlock-1) + 1
		if l := listen(ports.first + ports.last); l != nil {
			l.Close()
			return ports.first + ports.last
		}
	}
	t.Fatal("no free port")
	return 0
}

// listen is nil if the port is taken.
func listen(port int) net.Listener {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return nil
	}
	return l
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
