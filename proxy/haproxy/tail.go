package haproxy

import (
	"bytes"
	"regexp"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// tailSize is how much of HAProxy's output is kept, in bytes.
const tailSize = 16 << 10

// tail is where HAProxy's own messages go: the log, and a buffer of the last ones for
// error texts. Safe for concurrent use.
type tail struct {
	logger zerolog.Logger

	mu      sync.Mutex
	data    []byte
	dropped int64
	partial []byte
	// vacated is the backend that the last line says a server was taken out of.
	vacated string
}

// retired and empty match what HAProxy tells, one after the other, when a command has taken
// the last server out of a backend.
var (
	retired = regexp.MustCompile(`Server ([^/ ]+)/\S+ is going DOWN for maintenance`)
	empty   = regexp.MustCompile(`backend '([^']+)' has no server available`)
)

func newTail(logger zerolog.Logger) *tail { return &tail{logger: logger} }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if extra := len(t.data) - tailSize; extra > 0 {
		t.data = t.data[extra:]
		t.dropped += int64(extra)
	}
	t.partial = append(t.partial, p...)
	for {
		line, rest, found := bytes.Cut(t.partial, []byte("\n"))
		if !found {
			break
		}
		t.log(string(line))
		t.partial = rest
	}
	if len(t.partial) > tailSize {
		t.partial = nil
	}
	return len(p), nil
}

func (t *tail) log(line string) {
	before := t.vacated
	t.vacated = part(retired, line)
	switch {
	case before != "" && part(empty, line) == before: // what is meant to be
		t.logger.Debug().Str("line", line).Msg("haproxy says")
	case strings.HasPrefix(line, "[ALERT]"):
		t.logger.Warn().Str("line", line).Msg("haproxy alert")
	case strings.TrimSpace(line) != "":
		t.logger.Debug().Str("line", line).Msg("haproxy says")
	}
}

// part is what the group of a pattern matches in a line, "" if the pattern does not.
func part(pattern *regexp.Regexp, line string) string {
	if found := pattern.FindStringSubmatch(line); found != nil {
		return found[1]
	}
	return ""
}

// mark is the position behind everything written so far.
func (t *tail) mark() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped + int64(len(t.data))
}

// since gives the alerts written after a mark.
func (t *tail) since(mark int64) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := max(mark-t.dropped, 0)
	return alerts(string(t.data[min(from, int64(len(t.data))):]))
}
