package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
)

// consulAgent is a real Consul agent in development mode: one server, everything in memory.
type consulAgent struct {
	*process
	addr string
	*api.KV
}

// consulPath finds the program that deploy/test.sh builds.
func consulPath(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("SLUICE_TEST_CONSUL"); path != "" {
		return path
	}
	path, err := exec.LookPath("consul")
	if err != nil {
		t.Fatal("no Consul: run deploy/test.sh e2e, which builds it, or set SLUICE_TEST_CONSUL to the program")
	}
	return path
}

func startConsul(t testing.TB) *consulAgent {
	t.Helper()
	port := freePort(t)
	args := []string{"agent", "-dev", "-bind", "127.0.0.1", "-client", "127.0.0.1", "-log-level", "warn",
		"-http-port", strconv.Itoa(port), "-grpc-port", "-1", "-grpc-tls-port", "-1", "-dns-port", "-1"}
	for _, name := range []string{"-server-port", "-serf-lan-port", "-serf-wan-port"} {
		args = append(args, name, strconv.Itoa(freePort(t)))
	}
	c := &consulAgent{addr: loopback(port)}
	c.process = startProcess(t, "consul", nil, consulPath(t), args...)
	kv, err := api.NewClient(&api.Config{Address: c.addr})
	if err != nil {
		t.Fatal(err)
	}
	c.KV = kv.KV()
	eventually(t, patience, "Consul has a leader", func() error {
		return expectStatus(get(t, "http://"+c.addr+"/v1/kv/no/such/key"), http.StatusNotFound)
	})
	return c
}

// mirror is what people see below the prefix: key to value.
func (c *consulAgent) mirror(t testing.TB, prefix string) map[string]string {
	t.Helper()
	pairs, _, err := c.List(prefix+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, p := range pairs {
		seen[p.Key] = string(p.Value)
	}
	return seen
}

func (c *consulAgent) put(key, value string) error {
	_, err := c.Put(&api.KVPair{Key: key, Value: []byte(value)}, nil)
	return err
}

// waitForSnapshot waits until the manifest of the default namespace names a position of
// at least seq.
func waitForSnapshot(t testing.TB, c *consulAgent, seq uint64) {
	t.Helper()
	eventually(t, patience, fmt.Sprintf("a snapshot of %d", seq), func() error {
		pairs, _, err := c.List("sluice/docker-flow/snapshot/", nil)
		if err != nil {
			return err
		}
		var keys []string
		for _, p := range pairs {
			keys = append(keys, p.Key)
			var manifest struct{ Seq uint64 }
			if strings.HasSuffix(p.Key, "/manifest") && json.Unmarshal(p.Value, &manifest) == nil && manifest.Seq >= seq {
				return nil
			}
		}
		return fmt.Errorf("keys: %v", keys)
	})
}
