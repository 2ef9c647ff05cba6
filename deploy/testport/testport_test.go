package testport_test

import (
	"net"
	"strconv"
	"testing"

	"sluice/deploy/testport"
)

func TestFree(t *testing.T) {
	first := testport.Free(t)
	if first >= 32768 {
		t.Errorf("port %d may be given to any connection", first)
	}
	if second := testport.Free(t); second == first {
		t.Errorf("port %d twice", first)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", strconv.Itoa(first+2)))
	if err == nil { // else somebody else has taken it
		defer l.Close()
	}
	if third := testport.Free(t, "127.0.0.1", "127.0.0.2"); third == first+2 {
		t.Errorf("port %d, which is taken", third)
	}
}
