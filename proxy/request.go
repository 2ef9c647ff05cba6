package proxy

import "strings"

// host is the Host header as the rules compare it: lower case, without its port; false
// without any. Of several values HAProxy takes the last.
func (r *Request) host() (string, bool) {
	values := splitValues(r.Host)
	if len(values) == 0 {
		return "", false
	}
	host := lowerASCII(values[len(values)-1])
	if i := strings.LastIndexAny(host, ":]"); i >= 0 && host[i] == ':' {
		host = host[:i]
	}
	return host, true
}

// uri is path and query as they are sent.
func (r *Request) uri() string {
	if r.Query == "" {
		return r.Path
	}
	return r.Path + "?" + r.Query
}

// lines are the values of a header, one for each time that it is sent.
func (r *Request) lines(name string) []string {
	if strings.EqualFold(name, "Host") {
		return []string{r.Host}
	}
	return r.Header.Values(name)
}

// values are those of a header, taken apart at the commas outside quotes, which is how
// HAProxy reads hdr().
func (r *Request) values(name string) []string {
	var list []string
	for _, line := range r.lines(name) {
		list = append(list, splitValues(line)...)
	}
	return list
}

// wholeValues are the header's values where commas do not separate: req.fhdr().
func (r *Request) wholeValues(name string) []string {
	var list []string
	for _, line := range r.lines(name) {
		if line = strings.Trim(line, " \t"); line != "" {
			list = append(list, line)
		}
	}
	return list
}

func splitValues(line string) []string {
	var list []string
	for line != "" {
		end := valueEnd(line)
		if value := strings.Trim(line[:end], " \t"); value != "" {
			list = append(list, value)
		}
		line = line[min(end+1, len(line)):]
	}
	return list
}

// valueEnd is the index of the first comma outside quotes, or the line's length.
func valueEnd(line string) int {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case quoted && line[i] == '\\':
			i++
		case !quoted && line[i] == ',':
			return i
		}
	}
	return len(line)
}

// lowerASCII maps A to Z only, byte by byte, as HAProxy does.
func lowerASCII(text string) string {
	low := []byte(text)
	for i, c := range low {
		if c >= 'A' && c <= 'Z' {
			low[i] = c + 'a' - 'A'
		}
	}
	return string(low)
}
