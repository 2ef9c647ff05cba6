package haproxy

import "bytes"

// maxAccessLine bounds a line of the access log in bytes.
const maxAccessLine = 16 << 10

// accessLines cuts HAProxy's standard output into lines. One goroutine writes.
type accessLines struct {
	each    func(line string)
	partial []byte
}

// accessLine takes the level off a line, as HAProxy's log format "short" writes it. Requests and
// connections have the levels info and, where "option log-separate-errors" asks for it, err. What
// has another one is an event of HAProxy's own, which it writes to its standard error too.
func accessLine(line []byte) (text []byte, is bool) {
	if len(line) < 3 || line[0] != '<' || line[1] < '0' || line[1] > '7' || line[2] != '>' {
		return line, true
	}
	return line[3:], line[1] == '6' || line[1] == '3'
}

// Write never fails.
func (a *accessLines) Write(p []byte) (int, error) {
	a.partial = append(a.partial, p...)
	for {
		line, rest, found := bytes.Cut(a.partial, []byte("\n"))
		if !found {
			break
		}
		if line, is := accessLine(bytes.TrimSpace(line)); is && len(line) > 0 {
			a.each(string(line))
		}
		a.partial = rest
	}
	if len(a.partial) > maxAccessLine {
		a.partial = nil
	}
	return len(p), nil
}
