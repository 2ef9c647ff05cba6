package stream_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// silence is a TCP proxy that can hold back what the server answers: requests arrive, answers
// do not, as if the network or the server's process hung.
type silence struct {
	url string

	mu    sync.Mutex
	open  *sync.Cond
	quiet bool
	ended bool
	conns []net.Conn
	// until is a request after which the proxy becomes quiet by itself.
	until []byte
}

func startSilence(tb testing.TB, target string) *silence {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &silence{url: "nats://" + l.Addr().String()}
	p.open = sync.NewCond(&p.mu)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			backend, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			p.keep(client, backend)
			wg.Go(func() { _, _ = io.Copy(requests{p, backend}, client); _ = backend.Close() })
			wg.Go(func() { p.answers(client, backend) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		p.end()
		wg.Wait()
	})
	return p
}

func (p *silence) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
}

func (p *silence) answers(client, backend net.Conn) {
	defer client.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := backend.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		for p.quiet && !p.ended {
			p.open.Wait()
		}
		p.mu.Unlock()
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *silence) set(quiet bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = quiet
	p.open.Broadcast()
}

func (p *silence) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.open.Broadcast()
	for _, c := range p.conns {
		_ = c.Close()
	}
}

// requests is what the client sends.
type requests struct {
	p       *silence
	backend net.Conn
}

func (r requests) Write(b []byte) (int, error) {
	r.p.mu.Lock()
	if len(r.p.until) > 0 && bytes.Contains(b, r.p.until) {
		r.p.quiet, r.p.until = true, nil
	}
	r.p.mu.Unlock()
	return r.backend.Write(b)
}

// quietAfter loses the answer to the next request that contains text: it arrives, and nothing
// comes back until cut.
func (p *silence) quietAfter(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = []byte(text)
}

// cut ends the connections with all that was held back. New ones work.
func (p *silence) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns, p.quiet = nil, false
	p.open.Broadcast()
}
