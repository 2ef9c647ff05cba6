package e2e_test

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// webSocket is the client's end of a WebSocket (RFC 6455) as far as short texts need it.
type webSocket struct {
	conn net.Conn
	in   *bufio.Reader
}

const (
	finalText  = 0x81 // FIN, opcode text
	maskedBit  = 0x80
	maxPayload = 125 // longer ones have another header
	socketTime = 30 * time.Second
)

// acceptKey proves that the server has understood the client's key (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// dialWebSocket opens one that the end of the test closes.
func dialWebSocket(t testing.TB, addr, path string) (*webSocket, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, socketTime)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	w := &webSocket{conn: conn, in: bufio.NewReader(conn)}
	key := base64.StdEncoding.EncodeToString([]byte(rand.Text()[:16]))
	if err := conn.SetDeadline(time.Now().Add(socketTime)); err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", path, key)
	if err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-Websocket-Accept") != acceptKey(key) {
		return nil, fmt.Errorf("no WebSocket: %s %v", res.Status, res.Header)
	}
	return w, nil
}

// echo sends a text and waits until it comes back.
func (w *webSocket) echo(text string) error {
	if err := w.conn.SetDeadline(time.Now().Add(socketTime)); err != nil {
		return err
	}
	if err := writeText(w.conn, text, true); err != nil {
		return err
	}
	got, err := readText(w.in)
	if err == nil && got != text {
		err = fmt.Errorf("echo of %q is %q", text, got)
	}
	return err
}

func writeText(w io.Writer, text string, masked bool) error {
	if len(text) > maxPayload {
		return errors.New("the text is too long")
	}
	frame := []byte{finalText, byte(len(text))}
	payload := []byte(text)
	if masked {
		mask := []byte{1, 2, 3, 4} // any will do: there is nobody to confuse
		frame[1] |= maskedBit
		frame = append(frame, mask...)
		unmask(payload, mask)
	}
	_, err := w.Write(append(frame, payload...))
	return err
}

func readText(r io.Reader) (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	length := int(head[1] &^ maskedBit)
	if head[0] != finalText || length > maxPayload {
		return "", fmt.Errorf("not a short text: % x", head)
	}
	var mask [4]byte
	if head[1]&maskedBit != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return "", err
		}
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return "", err
	}
	unmask(payload, mask[:])
	return string(payload), nil
}

func unmask(payload, mask []byte) {
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
}

// startWebSockets runs a server that echoes the texts of WebSockets.
func startWebSockets(t testing.TB) (port int) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(echoTexts))
	t.Cleanup(server.Close) // after the clients are gone
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// echoTexts ends when the client or the proxy does.
func echoTexts(w http.ResponseWriter, r *http.Request) {
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	for err == nil {
		var text string
		if text, err = readText(in); err == nil {
			err = writeText(conn, text, false)
		}
	}
}
