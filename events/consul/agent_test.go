package consul_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/rs/zerolog"

	"sluice/deploy/testport"
	"sluice/events/consul"
)

// patience bounds every wait of the tests.
const patience = 90 * time.Second

// agentAddr is the one Consul agent of all tests, direct a client of it without our code in
// between; each test has its own namespace.
var (
	agentAddr string
	direct    *api.Client
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	stop, err := startAgent()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	return m.Run()
}

// startAgent runs a real Consul in memory on ports of its own.
func startAgent() (func(), error) {
	binary := os.Getenv("SLUICE_TEST_CONSUL")
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("consul"); err != nil {
			return nil, errors.New("these tests need a Consul agent: run deploy/test.sh, which gets one, or set SLUICE_TEST_CONSUL to its path")
		}
	}
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	agentAddr = "127.0.0.1:" + ports[0]
	if direct, err = api.NewClient(&api.Config{Address: agentAddr}); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "agent", "-dev", "-bind", "127.0.0.1", "-log-level", "err", "-node", "test",
		"-http-port", ports[0], "-server-port", ports[1], "-serf-lan-port", ports[2], "-serf-wan-port", ports[3],
		"-grpc-port", "-1", "-grpc-tls-port", "-1", "-dns-port", "-1")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Consul: %w", err)
	}
	stop := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err := awaitLeader(); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

func awaitLeader() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		// The node registers itself a moment after the election; sessions need it.
		if nodes, _, err := direct.Catalog().Nodes((&api.QueryOptions{}).WithContext(ctx)); err == nil && len(nodes) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the Consul agent did not get ready")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		port, err := testport.Find()
		if err != nil {
			return nil, err
		}
		ports = append(ports, strconv.Itoa(port))
	}
	return ports, nil
}

// config has a namespace and a prefix of the test's own.
func config(tb testing.TB) consul.Config {
	name := strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			return r
		}
		return '-'
	}, strings.ToLower(tb.Name()))
	name = "t" + name[max(0, len(name)-30):]
	return consul.Config{Addrs: []string{agentAddr}, Namespace: name, Prefix: "mirror/" + name, Logger: zerolog.Nop()}
}

func newStore(tb testing.TB, cfg consul.Config) *consul.Store {
	tb.Helper()
	s, err := consul.New(cfg)
	if err != nil {
		tb.Fatalf("new store: %v", err)
	}
	return s
}

func list(tb testing.TB, prefix string) map[string]string {
	tb.Helper()
	pairs, _, err := direct.KV().List(prefix, nil)
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]string{}
	for _, p := range pairs {
		out[strings.TrimPrefix(p.Key, prefix)] = string(p.Value)
	}
	return out
}

func put(tb testing.TB, key, value string) {
	tb.Helper()
	if _, err := direct.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, nil); err != nil {
		tb.Fatal(err)
	}
}

func remove(tb testing.TB, key string) {
	tb.Helper()
	if _, err := direct.KV().Delete(key, nil); err != nil {
		tb.Fatal(err)
	}
}

// answered calls again while the agent does not answer in time: a call waits for two seconds, and
// a busy machine may stand still for longer.
func answered(call func() error) error {
	for deadline := time.Now().Add(patience); ; {
		err := call()
		if !errors.Is(err, context.DeadlineExceeded) || time.Now().After(deadline) {
			return err
		}
	}
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// deaf is the address of a server that takes connections and never answers.
func deaf(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// failing is the address of an agent without a leader.
func failing(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "No cluster leader", http.StatusInternalServerError)
	})}
	go func() { _ = s.Serve(l) }()
	tb.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}
