package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"sluice/deploy/testport"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

// asProgram makes the test's binary the program itself, so that a shell can run it.
const asProgram = "SLUICE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// stage is where the examples of one command are run: a directory with what they name.
type stage struct {
	dir   string
	env   []string
	base  string            // of an API with the service go-demo
	ports map[string]string // an address of an example -> a free one
}

// recovery does what it is asked.
type recovery struct{}

func (recovery) NewLog(context.Context) error   { return nil }
func (recovery) BeginLog(context.Context) error { return nil }

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{dir: t.TempDir(), ports: map[string]string{}}
	s.base = serve(t, apitest.New(), func(c *api.Config) { c.Explainer, c.Recovery = explainer{}, recovery{} })
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := errorOf(os.Mkdir(filepath.Join(s.dir, "bin"), 0o700), os.Symlink(binary, filepath.Join(s.dir, "bin", "sluice"))); err != nil {
		t.Fatal(err)
	}
	s.credentials(t)
	s.file(t, "go-demo.yaml", "serviceName: go-demo\ndestinations:\n- port: 8080\n  servicePath: [/demo]\n")
	s.env = []string{
		asProgram + "=1", "PATH=" + filepath.Join(s.dir, "bin") + ":" + os.Getenv("PATH"), "SLUICE_API=" + s.base, "SLUICE_TOKEN=" + writeToken,
		"SLUICE_DATA_DIR=" + s.dir + "/data", "SLUICE_CFG_DIR=" + s.dir + "/cfg", "SLUICE_SECRETS_DIR=" + s.dir + "/secrets", "SLUICE_BIND_ADDR=127.0.0.1",
		"SLUICE_API_ADDR=" + testport.FreeAddr(t), "SLUICE_NATS_LISTEN=" + testport.FreeAddr(t),
		"DEFAULT_PORTS=" + freePort(t) + "," + freePort(t) + ":ssl",
	}
	return s
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(testport.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (s *stage) file(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// credentials writes the files that examples name, a directory like Docker's among them.
func (s *stage) credentials(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example"}, NotAfter: time.Now().Add(time.Hour), IsCA: true}
	cert, certErr := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	der, keyErr := x509.MarshalECPrivateKey(key)
	user, userErr := nkeys.CreateUser()
	if err := errorOf(certErr, keyErr, userErr, os.Mkdir(filepath.Join(s.dir, "docker"), 0o700), os.Mkdir(filepath.Join(s.dir, "secrets"), 0o700)); err != nil {
		t.Fatal(err)
	}
	seed, seedErr := user.Seed()
	public, publicErr := user.PublicKey()
	if err := errorOf(seedErr, publicErr); err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	for name, text := range map[string]string{
		"broker.pem": certPEM, "broker.key": keyPEM, "ca.pem": certPEM, "seed": string(seed), "keys": public,
		"docker/ca.pem": certPEM, "docker/cert.pem": certPEM, "docker/key.pem": keyPEM, "watch_token": writeToken,
	} {
		s.file(t, name, text)
	}
}

var (
	continued  = regexp.MustCompile(`\\\n\s*`)
	exampleTo  = regexp.MustCompile(`(?:127\.0\.0\.1)?(:\d{4})\b`)
	portList   = regexp.MustCompile(`DEFAULT_PORTS=8000,8443:ssl`)
	namedHost  = regexp.MustCompile(`[a-z]:\d{4}`)
	callsAPI   = regexp.MustCompile(`--api http://[a-z0-9.-]+:\d+`)
	longRunner = regexp.MustCompile(`\bsluice (run|broker|watch)\b|--follow|--watch`)
)

// fit puts what exists here into the place of what an example names.
func (s *stage) fit(t *testing.T, command string) string {
	command = callsAPI.ReplaceAllString(command, "--api "+s.base)
	command = strings.NewReplacer("/run/secrets/sluice_watch_token", "watch_token", "--docker-cert-path /certs", "--docker-cert-path docker").Replace(command)
	command = portList.ReplaceAllString(command, "DEFAULT_PORTS="+freePort(t)+","+freePort(t)+":ssl")
	words := strings.Fields(command)
	for i, word := range words {
		if !longRunner.MatchString(command) || namedHost.MatchString(word) || strings.Contains(word, s.base) {
			continue
		}
		words[i] = exampleTo.ReplaceAllStringFunc(word, func(addr string) string {
			addr = "127.0.0.1" + addr[strings.IndexByte(addr, ':'):]
			if s.ports[addr] == "" {
				s.ports[addr] = testport.FreeAddr(t)
			}
			return s.ports[addr]
		})
	}
	if longRunner.MatchString(command) {
		return strings.Join(words, " ")
	}
	return command
}

// run runs one command line of an example in a shell; one that goes on until it is interrupted
// is left running, and ended with the test.
func (s *stage) run(t *testing.T, command string) {
	t.Helper()
	goesOn := longRunner.MatchString(command)
	env := slices.Clone(s.env)
	if goesOn { // not one address for a broker and a replica beside it
		command = "exec env " + command
		env = append(env, "SLUICE_HEALTH_ADDR="+testport.FreeAddr(t), "SLUICE_METRICS_ADDR="+testport.FreeAddr(t))
	}
	log := &output{}
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = s.dir, env, log, log, 10*time.Second
	if !goesOn {
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, log)
		}
		return
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended, which Wait tells
		if err := <-done; err != nil {
			t.Errorf("%s: %v\n%s", command, err, log)
		}
	})
	s.started(t, command, log, done)
}

// started waits until a command does what it is there for: a replica with a log of its own serves.
func (s *stage) started(t *testing.T, command string, log *output, done chan error) {
	t.Helper()
	want := ""
	for part, sign := range map[string]string{"sluice broker": "sluice broker runs", "sluice watch": "sluice watches", "sluice run": "haproxy serves a new configuration"} {
		if strings.Contains(command, part) {
			want = sign
		}
	}
	if want == "haproxy serves a new configuration" && strings.Contains(command, "--nats-url") {
		want = "sluice runs"
	}
	for deadline := time.Now().Add(30 * time.Second); log.String() == "" || !strings.Contains(log.String(), want); {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("%s ended: %v\n%s", command, err, log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: waited in vain for %q in\n%s", command, want, log)
		}
	}
	if strings.Contains(log.String(), "127.0.0.1:4222") {
		t.Errorf("%s names an address that it does not have:\n%s", command, log)
	}
}

// block runs the command lines of an example that stand together.
func (s *stage) block(t *testing.T, text string) {
	if strings.Contains(text, "secret sluice_nats_token") {
		s.file(t, "secrets/sluice_nats_token", "a-token-of-the-clients")
		defer os.Remove(filepath.Join(s.dir, "secrets", "sluice_nats_token"))
	}
	ran := 0
	for line := range strings.Lines(continued.ReplaceAllString(text, " ")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || !strings.Contains(line, "sluice ") {
			continue // docker's are for another machine
		}
		s.run(t, s.fit(t, line))
		ran++
	}
	if ran == 0 && !strings.Contains(text, "docker ") {
		t.Errorf("no command in %q", text)
	}
}

// TestEveryExampleWorks: as it stands in the help, ports and files aside.
func TestEveryExampleWorks(t *testing.T) {
	var all func(list []*cobra.Command)
	all = func(list []*cobra.Command) {
		for _, cmd := range list {
			all(cmd.Commands())
			for i, text := range strings.Split(cmd.Example, "\n\n") {
				t.Run(strings.ReplaceAll(cmd.CommandPath(), " ", "_")+"_"+string(rune('1'+i)), func(t *testing.T) {
					s := newStage(t)
					s.run(t, "sluice reconfigure go-demo --set port.1=8080 --set servicePath.1=/demo --set port.2=8081 --set servicePath.2=/admin --wait none")
					s.block(t, text)
				})
			}
		}
	}
	all(commands(&program{}))
}
