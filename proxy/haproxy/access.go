package haproxy

import "bytes"

// maxAccessLine bounds a line of the access log in bytes.
const maxAccessLine = 16 << 10

// accessLines cuts HAProxy's standard output into lines. One goroutine writes.
type accessLines struct {
	each    func(line string)
	partial []byte
}

// Write never fails.
func (a *accessLines) Write(p []byte) (int, error) {
	a.partial = append(a.partial, p...)
	for {
		line, rest, found := bytes.Cut(a.partial, []byte("\n"))
		if !found {
			break
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			a.each(string(line))
		}
		a.partial = rest
	}
	if len(a.partial) > maxAccessLine {
		a.partial = nil
	}
	return len(p), nil
}
