package seal_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// HAProxy checks passwords by computing the digest itself.
func TestDigestIsWhatHAProxyComputes(t *testing.T) {
	k := parse(t, keyText)
	salt, header := k.Salt("go-demo/alice"), "Basic YWxpY2U6c2VjcmV0"
	dir := t.TempDir()
	socket, config := filepath.Join(dir, "http.sock"), filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(`defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend digest
  bind unix@%s
  http-request set-var(txn.auth) req.hdr(authorization)
  http-request set-var(txn.digest) 'str(%s|),concat(,txn.auth,),hmac(sha256,%s),hex'
  http-request return status 200 content-type text/plain lf-string "%%[var(txn.digest)]"
`, socket, salt, k.AuthKey())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startHAProxy(t, config)
	got := ask(t, socket, header)
	if want := strings.ToUpper(k.Digest(salt, header)); got != want {
		t.Errorf("HAProxy computes %s, we %s", got, want)
	}
}

func startHAProxy(t *testing.T, config string) {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command("haproxy", "-db", "-f", config)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start haproxy: %v (the tests need it: apt-get install haproxy)", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // ended or not, Wait tells
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
}

// ask sends one request with the given Authorization header as soon as HAProxy listens.
func ask(t *testing.T, socket, authorization string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		body, err := exchange(ctx, socket, authorization)
		if err == nil {
			return body
		}
		select {
		case <-ctx.Done():
			t.Fatalf("ask haproxy: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func exchange(ctx context.Context, socket, authorization string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nConnection: close\r\n\r\n", authorization); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return strings.TrimSpace(string(body)), err
}
