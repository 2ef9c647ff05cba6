package haproxy_test

import (
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// ports are those that HAProxy listens on in these tests: below the ones that the kernel gives to
// outgoing connections and to echo backends (32768 and up), so that nobody takes a port between
// its choice and its use, in blocks of a thousand of which each test program has its own.
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
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil
	}
	return l
}
