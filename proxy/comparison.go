package proxy

import (
	"fmt"
	"strings"
)

// truth is what is known of a condition. The lower one wins where all must hold, the
// higher where one must.
type truth int

const (
	fails    truth = iota
	unjudged       // cannot be judged here
	holds
)

func (t truth) not() truth { return holds - t }

// aspect is the part of a request that a condition looks at.
type aspect int

const (
	headerAspect aspect = iota
	pathAspect
	hostAspect
)

// finding is what became of a condition: the pattern that matched, or may, and why it
// cannot be told.
type finding struct {
	truth   truth
	aspect  aspect
	pattern string
	doubt   string
}

// comparison is a criterion as HAProxy reads it: a sample of the request, and how it is
// compared with patterns (HAProxy configuration manual, sections 7.1 and 7.3).
type comparison struct {
	fetch, arg string
	method     string
	ignoreCase bool
}

// parseComparison reads what specials hold. It is false for what is not judged here.
func parseComparison(text string) (comparison, bool) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return comparison{}, false
	}
	c := comparison{method: "str"}
	name, arg, called := strings.Cut(strings.Trim(words[0], "'"), "(") // see headerFetch
	c.fetch, c.arg = strings.TrimPrefix(name, "req."), strings.TrimSuffix(arg, ")")
	implied := false
	if fetch, method, found := strings.Cut(c.fetch, "_"); found && !strings.Contains(c.fetch, "sni") {
		c.fetch, c.method, implied = fetch, method, true
	}
	ok := called == (c.fetch == "hdr" || c.fetch == "fhdr" || c.fetch == "var") && !(implied && name != c.fetch+"_"+c.method)
	for words = words[1:]; len(words) > 0; {
		switch {
		case words[0] == "-i":
			c.ignoreCase, words = true, words[1:]
		case words[0] == "-m" && len(words) > 1:
			ok = ok && (!implied || c.method == words[1])
			c.method, words = words[1], words[2:]
		default:
			return c, false
		}
	}
	return c, ok && c.known()
}

func (c *comparison) known() bool {
	if matcherOf(c.method) == nil {
		return false
	}
	switch c.fetch {
	case "path", "url", "base", "ssl_sni", "ssl_fc_sni":
		return true
	case "hdr", "fhdr":
		return c.arg != "" && !strings.Contains(c.arg, ",")
	case "var":
		return c.arg == "txn.host"
	}
	return false
}

// samples are the values that are compared, in each way that a client may send the
// request; doubt says why they are not known.
func (c *comparison) samples(r *Request) (ways [][]string, doubt string) {
	one := func(list ...string) ([][]string, string) { return [][]string{list}, "" }
	rooted := strings.HasPrefix(r.Path, "/")
	switch {
	case c.fetch == "path" && rooted:
		return one(r.Path)
	case c.fetch == "url" && r.TLS:
		// HTTP/2 sends the whole URL, HTTP/1.1 what follows the host.
		return [][]string{{r.uri()}, {"https://" + r.Host + r.uri()}}, ""
	case c.fetch == "url":
		return one(r.uri())
	case c.fetch == "base" && rooted:
		return one(strings.Join(append(splitValues(r.Host), "")[:1], "") + r.Path)
	case c.fetch == "hdr":
		return one(r.values(c.arg)...)
	case c.fetch == "fhdr":
		return one(r.wholeValues(c.arg)...)
	case c.fetch == "var":
		if host, ok := r.host(); ok {
			return one(host)
		}
	case c.fetch == "ssl_fc_sni" && r.TLS:
		return nil, "the name in the TLS greeting is not part of the question"
	}
	return one() // req.ssl_sni is never there once a connection is read as HTTP
}

func (c *comparison) aspect() aspect {
	switch {
	case c.fetch == "path" || c.fetch == "url" || c.fetch == "base":
		return pathAspect
	case c.fetch == "var" || strings.EqualFold(c.arg, "host") || strings.HasSuffix(c.fetch, "sni"):
		return hostAspect
	}
	return headerAspect
}

// judge tries every pattern: one that matches is enough.
func (c *condition) judge(r *Request) finding {
	cmp, ok := parseComparison(c.criterion)
	if !ok {
		return c.doubtful(headerAspect, "", "this criterion is not judged here")
	}
	ways, doubt := cmp.samples(r)
	if doubt != "" {
		return c.doubtful(cmp.aspect(), "", doubt)
	}
	best := finding{truth: fails}
	for _, pattern := range c.patterns {
		if pattern == "" {
			break // HAProxy reads no further
		}
		f := c.judgePattern(&cmp, ways, pattern)
		if f.truth == holds {
			return f
		}
		if f.truth > best.truth {
			best = f
		}
	}
	return best
}

func (c *condition) judgePattern(cmp *comparison, ways [][]string, pattern string) finding {
	shown := pattern
	if cmp.fetch == "var" && cmp.method == "end" {
		shown = "*" + pattern
	}
	matching := 0
	for _, samples := range ways {
		t, doubt := cmp.matchAny(samples, pattern)
		switch t {
		case unjudged:
			return c.doubtful(cmp.aspect(), shown, doubt)
		case holds:
			matching++
		}
	}
	switch matching {
	case 0:
		return finding{truth: fails}
	case len(ways):
		return finding{truth: holds, aspect: cmp.aspect(), pattern: shown}
	}
	return c.doubtful(cmp.aspect(), shown, "it depends on the HTTP version that the client speaks")
}

func (c *condition) doubtful(p aspect, pattern, reason string) finding {
	name := c.criterion
	if pattern != "" {
		name += " " + pattern
	}
	return finding{truth: unjudged, aspect: p, pattern: pattern, doubt: fmt.Sprintf("%s: %s", name, reason)}
}

// matchAny compares each sample with the pattern; one that matches is enough.
func (c *comparison) matchAny(samples []string, pattern string) (t truth, doubt string) {
	match := matcherOf(c.method)
	for _, sample := range samples {
		switch one, why := match(c, sample, pattern); one {
		case holds:
			return holds, ""
		case unjudged:
			t, doubt = unjudged, why
		}
	}
	return t, doubt
}
