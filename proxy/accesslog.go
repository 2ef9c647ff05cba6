package proxy

import (
	"strconv"
	"strings"
)

// AccessLog is HAProxy's log of requests and connections. It goes to the program's
// standard output, one line each.
type AccessLog struct {
	Enabled bool
	// ErrorsOnly leaves out what went well.
	ErrorsOnly bool
	// HTTPFormat and TCPFormat are HAProxy's log formats; empty: its httplog and tcplog.
	HTTPFormat, TCPFormat string
}

// accessLine bounds a line in bytes. A pipe keeps writes of this size apart when several
// workers share it (pipe(7): at most 4096).
const accessLine = 4000

// target asks for lines that begin with their level: HAProxy's own events, such as the stop of
// each proxy at a reload, have another one than requests.
func (l *AccessLog) target(t *text) {
	if l.Enabled {
		t.line("log stdout len", strconv.Itoa(accessLine), "format short local0 info")
	}
}

// defaults are the options of all sections.
func (l *AccessLog) defaults(t *text) {
	if l.Enabled {
		t.line("log global")
	}
	if !l.Enabled || l.ErrorsOnly {
		t.line("option dontlog-normal")
	}
}

func (l *AccessLog) http(t *text) { l.format(t, l.HTTPFormat, "option httplog") }

func (l *AccessLog) tcp(t *text) { l.format(t, l.TCPFormat, "option tcplog") }

func (l *AccessLog) format(t *text, format, standard string) {
	switch {
	case !l.Enabled:
	case format == "":
		t.line(standard)
	case strings.Contains(format, `\`) || strings.HasPrefix(format, `"`) || strings.HasPrefix(format, "'"):
		t.line("log-format", format) // written for HAProxy's parser already
	default:
		t.line("log-format", quote(format))
	}
}
