package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// wire is one keep-alive HTTP/1.1 connection that sends requests as given and reads of an
// answer only what the benchmarks need, so that the client costs little beside the proxy.
// It never repeats a request. It is not safe for concurrent use.
type wire struct {
	addr string
	conn net.Conn // nil: the next request opens one
	in   *bufio.Reader
}

// reply is an answer; its body is valid until the next one.
type reply struct {
	status  int
	backend string // X-Backend
	body    []byte
	// last: the server announced that it closes the connection.
	last bool
}

func (r reply) String() string { return fmt.Sprintf("status %d from %q", r.status, r.backend) }

// wireTimeout bounds one request.
const wireTimeout = 10 * time.Second

// rawRequest is the text of a request to the proxy; a body makes it a POST.
func rawRequest(path, body string) []byte { return rawRequestTo("bench.test", path, body) }

// rawRequestTo is the same with another host.
func rawRequestTo(host, path, body string) []byte {
	if body == "" {
		return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", path, host, len(body), body)
}

// do sends one request. An error leaves no connection behind.
func (w *wire) do(ctx context.Context, request []byte) (reply, error) {
	if w.conn == nil {
		if err := w.dial(ctx); err != nil {
			return reply{}, err
		}
	}
	r, err := w.exchange(request)
	if err != nil || r.last {
		w.close()
	}
	return r, err
}

func (w *wire) dial(ctx context.Context) error {
	dialer := net.Dialer{Timeout: wireTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return err
	}
	w.conn, w.in = conn, bufio.NewReaderSize(conn, 8<<10)
	return nil
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *wire) exchange(request []byte) (reply, error) {
	if err := w.conn.SetDeadline(time.Now().Add(wireTimeout)); err != nil {
		return reply{}, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return reply{}, err
	}
	r, length, err := w.readHead()
	if err != nil {
		return r, fmt.Errorf("read answer: %w", err)
	}
	if r.body, err = w.in.Peek(length); err != nil {
		return r, fmt.Errorf("read body: %w", err)
	}
	_, err = w.in.Discard(length) // what was read ahead stays where it is
	return r, err
}

// readHead reads up to the body, whose length must be announced.
func (w *wire) readHead() (r reply, length int, err error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return r, 0, unexpected(err)
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return r, 0, fmt.Errorf("not HTTP/1.1: %q", line)
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return r, 0, fmt.Errorf("no status: %q", line)
	}
	length = -1
	for {
		line, err = w.in.ReadSlice('\n')
		if err != nil {
			return r, 0, unexpected(err)
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if err := r.header(line, &length); err != nil {
			return r, 0, err
		}
	}
	if length < 0 {
		return r, 0, errors.New("an answer without Content-Length")
	}
	return r, length, nil
}

func (r *reply) header(line []byte, length *int) (err error) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("content-length")):
		*length, err = strconv.Atoi(string(value))
	case bytes.EqualFold(name, []byte("connection")):
		r.last = bytes.EqualFold(value, []byte("close"))
	case bytes.EqualFold(name, []byte("x-backend")):
		r.backend = string(value)
	}
	return err
}

// unexpected: before the end of an answer there is no good end of a connection.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
