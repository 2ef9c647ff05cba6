package haproxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// commandTimeout bounds one command on a socket.
const commandTimeout = 3 * time.Second

// maxAnswer bounds what is read of one answer in bytes.
const maxAnswer = 8 << 20

// ask sends one command on a connection of its own and returns the whole answer.
func ask(ctx context.Context, socket, command string, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return "", fmt.Errorf("dial %s: %w", socket, err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", fmt.Errorf("set deadline: %w", err)
		}
	}
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("send %q: %w", command, err)
	}
	// The master keeps a connection open until it is told that no more commands come.
	if half, ok := conn.(*net.UnixConn); ok {
		if err := half.CloseWrite(); err != nil {
			return "", fmt.Errorf("send %q: %w", command, err)
		}
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("read answer of %q: %w", command, err)
	}
	return string(answer), nil
}

// generationOf reads the worker's generation from its description; 0 for none.
func generationOf(info string) uint64 {
	return number(strings.TrimPrefix(infoLine(info, "description"), "gen-"))
}

// pidOf reads the worker's process number; 0 for none.
func pidOf(info string) int { return int(number(infoLine(info, "pid"))) }

// infoLine is one value of "show info"; the names' case differs between versions.
func infoLine(info, wanted string) string {
	for line := range strings.Lines(info) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && strings.EqualFold(name, wanted) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func number(digits string) uint64 {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// processes is what "show proc" on the master's socket tells.
type processes struct {
	old    int
	failed int
}

// parseProcesses reads the table of "show proc", whose columns differ between versions:
// only the heading lines and the failure count are relied on.
func parseProcesses(text string) processes {
	var p processes
	old := false
	scanner := bufio.NewScanner(strings.NewReader(text))
	for scanner.Scan() {
		line := strings.TrimSpace(scanner.Text())
		switch {
		case strings.HasPrefix(line, "#"):
			old = strings.HasPrefix(line, "# old workers")
		case old && line != "":
			p.old++
		}
		if _, rest, ok := strings.Cut(line, "[failed: "); ok {
			digits, _, _ := strings.Cut(rest, "]")
			p.failed, _ = strconv.Atoi(digits) // the text is HAProxy's own; unreadable counts as none
		}
	}
	return p
}
