package haproxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"sluice/proxy"
)

const (
	// batchTimeout bounds a batch of commands, each of which takes microseconds; removing one
	// key of a map with 100,000 keys takes HAProxy before 2.9 some milliseconds.
	batchTimeout = 10 * time.Second
	// maxBatchAnswer bounds the answer of one command in bytes.
	maxBatchAnswer = 64 << 20
)

// prompt ends each answer of an interactive connection, on all versions.
var prompt = []byte("\n> ")

// session is an open connection to one worker.
type session struct {
	conn   net.Conn
	reader *bufio.Reader
}

var _ proxy.Commander = (*Process)(nil)

// Exec sends commands to the worker of the newest load, in order on one connection that
// stays open, and gives their answers. A command may have a payload of further lines. Any
// error means that it is unknown which commands took effect; proxy.ErrWorker that another
// worker than the loaded one answers. Callers take turns.
func (p *Process) Exec(ctx context.Context, commands []string) ([]string, error) {
	select {
	case p.talk <- struct{}{}:
		defer func() { <-p.talk }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	if p.session == nil {
		s, err := p.connect(ctx)
		if err != nil {
			return nil, err
		}
		p.session = s
	}
	answers, err := p.session.exec(ctx, commands)
	if err != nil {
		p.hangUp()
	}
	return answers, err
}

// hangUp ends the connection. The caller has the turn.
func (p *Process) hangUp() {
	p.session.close()
	p.session = nil
}

// turnAway takes the connection to the worker that is about to be replaced; nil: there is
// none.
func (p *Process) turnAway(ctx context.Context) *session {
	p.talk <- struct{}{}
	defer func() { <-p.talk }()
	if p.session == nil && p.running() != nil {
		p.session, _ = p.connect(ctx) // without it, nothing is waited for
	}
	old := p.session
	p.session = nil
	return old
}

// close ends a connection, which would keep its worker alive. Nil is none.
func (s *session) close() {
	if s != nil {
		_ = s.conn.Close() // nothing more is wanted of it
	}
}

// awaitStopping returns once a worker that was replaced takes no connections any more: until
// then, it may answer as if nothing had changed. A worker that is gone does not.
func (s *session) awaitStopping(ctx context.Context) error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		answers, err := s.exec(ctx, []string{"show info"})
		if err != nil || infoLine(answers[0], "stopping") == "1" {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // a worker that hangs is not waited for
		case <-ticker.C:
		}
	}
}

// connect opens a connection and makes sure that the worker of the newest load answers.
func (p *Process) connect(ctx context.Context) (*session, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.cfg.Socket)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", p.cfg.Socket, err)
	}
	s := &session{conn: conn, reader: bufio.NewReaderSize(conn, 64<<10)}
	answers, err := s.exec(ctx, []string{"prompt", "set severity-output number", "set timeout cli 1h", "show info"})
	if err == nil {
		if got, want := generationOf(answers[3]), p.generation.Load(); got != want {
			err = fmt.Errorf("%w: it is of load %d, not %d", proxy.ErrWorker, got, want)
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// exec writes while it reads: the answers of a long batch fill the socket's buffers.
func (s *session) exec(ctx context.Context, commands []string) ([]string, error) {
	deadline, _ := ctx.Deadline() // a zero time would mean none; Exec always has one
	if err := s.conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	interrupt := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	defer interrupt()
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(s.conn, strings.Join(commands, "\n")+"\n")
		written <- err
	}()
	answers := make([]string, 0, len(commands))
	var err error
	for range commands {
		var answer string
		if answer, err = s.answer(); err != nil {
			_ = s.conn.SetDeadline(time.Unix(1, 0)) // ends the writer as well
			break
		}
		answers = append(answers, answer)
	}
	if writeErr := <-written; err == nil && writeErr != nil {
		err = writeErr
	}
	if err != nil {
		return answers, fmt.Errorf("command %d of %d on haproxy's socket: %w", len(answers)+1, len(commands), err)
	}
	return answers, nil
}

// answer reads up to the next prompt. HAProxy before 3.2 shows a prompt of its own for
// each line of a payload.
func (s *session) answer() (string, error) {
	var b []byte
	for {
		part, err := s.reader.ReadSlice(' ')
		b = append(b, part...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		if bytes.HasSuffix(b, prompt) {
			break
		}
		if len(b) > maxBatchAnswer {
			return "", errors.New("the answer does not end")
		}
	}
	text := strings.TrimSuffix(string(b), string(prompt))
	for strings.HasPrefix(text, "+ ") {
		text = text[len("+ "):]
	}
	return strings.TrimSpace(text), nil
}
