package proxy

import (
	"regexp"
	"strconv"
	"strings"
)

// matcher compares a sample with one pattern, as HAProxy does; the text says why that
// cannot be told.
type matcher func(c *comparison, sample, pattern string) (truth, string)

// matcherOf is that of -m method; nil: it is not judged here.
func matcherOf(method string) matcher {
	switch method {
	case "str":
		return comparing(func(sample, pattern string) bool { return sample == pattern })
	case "beg":
		return comparing(strings.HasPrefix)
	case "end":
		return comparing(strings.HasSuffix)
	case "sub":
		return comparing(strings.Contains)
	case "dir":
		return between("/?")
	case "dom":
		return between("/?.:")
	case "len":
		return matchLength
	case "reg":
		return matchRegexp
	}
	return nil
}

func comparing(match func(sample, pattern string) bool) matcher {
	return func(c *comparison, sample, pattern string) (truth, string) {
		if c.ignoreCase {
			sample, pattern = lowerASCII(sample), lowerASCII(pattern)
		}
		return truthOf(match(sample, pattern)), ""
	}
}

func truthOf(ok bool) truth {
	if ok {
		return holds
	}
	return fails
}

// between looks for the pattern, without delimiters at its ends, between delimiters.
func between(delimiters string) matcher {
	match := comparing(func(sample, pattern string) bool { return hasWord(sample, pattern, delimiters) })
	return func(c *comparison, sample, pattern string) (truth, string) {
		pattern = strings.Trim(pattern, delimiters)
		switch {
		case pattern != "":
			return match(c, sample, pattern)
		case c.fetch == "path":
			return fails, ""
		}
		// HAProxy then reads the byte behind the sample, which in a path's case is known.
		return unjudged, "HAProxy gives a pattern of nothing but delimiters no meaning"
	}
}

func hasWord(sample, pattern, delimiters string) bool {
	delimits := func(i int) bool {
		return i < 0 || i == len(sample) || strings.IndexByte(delimiters, sample[i]) >= 0
	}
	for from := 0; ; from++ {
		at := strings.Index(sample[from:], pattern)
		if at < 0 {
			return false
		}
		if from += at; delimits(from-1) && delimits(from+len(pattern)) {
			return true
		}
	}
}

// matchLength takes "n" or "n:m".
func matchLength(_ *comparison, sample, pattern string) (truth, string) {
	low, high, ranged := strings.Cut(pattern, ":")
	if !ranged {
		high = low
	}
	from, err := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	if err != nil || err2 != nil {
		return unjudged, "this is not a length"
	}
	return truthOf(from <= len(sample) && len(sample) <= to), ""
}

// ambiguous are expressions that both dialects take and may read differently:
// backreferences or octal numbers, and {,n}, whose meaning PCRE2 10.43 changed.
var ambiguous = regexp.MustCompile(`\\[1-9]|\{,`)

// matchRegexp judges what means the same to Go (RE2) and to HAProxy (PCRE2 over bytes).
func matchRegexp(c *comparison, sample, pattern string) (truth, string) {
	if !isASCII(pattern) || !isASCII(sample) {
		return unjudged, "beyond ASCII, Go and HAProxy read regular expressions differently"
	}
	if c.ignoreCase {
		pattern = "(?i)" + pattern
	}
	expression, err := regexp.Compile(pattern)
	if err != nil || ambiguous.MatchString(pattern) {
		return unjudged, "HAProxy's regular expressions (PCRE) know more than Go's, which cannot read this one"
	}
	return truthOf(expression.MatchString(sample)), ""
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(c rune) bool { return c >= 0x80 }) < 0
}
