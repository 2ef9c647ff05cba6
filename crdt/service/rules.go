package service

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	labelPattern    = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	fragmentPattern = regexp.MustCompile(`^[a-z0-9_.-]{1,253}$`)
	templatePattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$`)
	secretPattern   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	cryptPattern    = regexp.MustCompile(`^[A-Za-z0-9./$=,+_-]{13,512}$`)
	hexPattern      = regexp.MustCompile(`^[0-9a-f]{16,128}$`)
	mediaPattern    = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+*-]+/[A-Za-z0-9!#$&^_.+*-]*$`)
	lengthPattern   = regexp.MustCompile(`^[0-9]{1,5}(:[0-9]{1,5})?$`)
)

// printable refuses what no parameter may hold: oversized text, broken UTF-8, and line
// breaks and other characters that cannot be seen.
func printable(text string) fault {
	switch {
	case len(text) > MaxText:
		return fault{"is longer than 8192 bytes", "shorten it"}
	case !utf8.ValidString(text):
		return fault{"is not valid UTF-8", "encode it as UTF-8"}
	}
	for _, c := range text {
		if !unicode.IsPrint(c) {
			return fault{fmt.Sprintf("contains the unprintable character %U", c), "remove it"}
		}
	}
	return fault{}
}

// oneOf admits the given words only, in their spelling.
func oneOf(words ...string) rule {
	return func(text string) fault {
		if slices.Contains(words, text) {
			return fault{}
		}
		return fault{"is not one of the known values", "use " + strings.Join(words, ", ")}
	}
}

// hostRule admits RFC 1123 names, with underscores since Docker allows them, and
// addresses of both families.
func hostRule(text string) fault {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return fault{}
	}
	labels := strings.Split(text, ".")
	if len(text) > 253 || !every(labels, labelPattern.MatchString) {
		return fault{"is not a host name or address", "use a DNS name (international names in their xn-- form), an IPv4 or an IPv6 address, without port"}
	}
	return fault{}
}

// patternRule refuses the one word that no quoting makes a pattern: HAProxy compares words
// after it has removed the quotes, and this one ends the criterion that it stands in.
func patternRule(text string) fault {
	if text == "}" {
		return fault{"is the word that ends a condition of HAProxy", `leave it out, or write \} in a regular expression`}
	}
	return fault{}
}

// domainRule judges one element of serviceDomain, given how domains are compared. A
// wildcard is one whatever compares the others.
func domainRule(method string) rule {
	switch method {
	case "reg":
		return func(text string) fault {
			switch {
			case strings.HasPrefix(text, "*"):
				return exactDomainRule(text)
			case patternRule(text) != fault{}:
				return patternRule(text)
			}
			return regexRule(text)
		}
	case "str":
		return exactDomainRule
	}
	return func(text string) fault {
		if !fragmentPattern.MatchString(strings.TrimPrefix(text, "*")) {
			return fault{"is not a part of a host name", "use letters, digits, '.', '-' and '_'"}
		}
		return fault{}
	}
}

func exactDomainRule(text string) fault {
	name := strings.TrimPrefix(text, "*")
	if name != text {
		name = strings.TrimPrefix(name, ".")
	}
	if hostRule(name) != (fault{}) {
		return fault{"is not a domain", "use a host name (international names in their xn-- form) without port, with at most one * at its start"}
	}
	return fault{}
}

// pathRule judges one path, given how paths are compared.
func pathRule(c criterion) rule {
	compared := comparedPathRule(c)
	return func(text string) fault {
		if f := patternRule(text); f != (fault{}) {
			return f
		}
		return compared(text)
	}
}

func comparedPathRule(c criterion) rule {
	switch {
	case c.method == "reg":
		return regexRule
	case c.method == "len":
		return func(text string) fault {
			if !lengthPattern.MatchString(text) {
				return fault{"is not a length", "use a number or a range such as 1:20"}
			}
			return fault{}
		}
	case c.fetch == "path" && (c.method == "str" || c.method == "beg"):
		return rootedPathRule
	}
	return unbrokenRule
}

func rootedPathRule(text string) fault {
	if !strings.HasPrefix(text, "/") {
		return fault{"does not start with /", "write /" + shorten(text)}
	}
	return unbrokenRule(text)
}

func unbrokenRule(text string) fault {
	if strings.Contains(text, " ") {
		return fault{"contains a blank", "separate elements by the separator, write a blank in a path as %20"}
	}
	return fault{}
}

// templateRule admits a file name; names cannot start with a dot, so there is no way up.
func templateRule(text string) fault {
	if !templatePattern.MatchString(text) {
		return fault{"is not the name of a template", "use the name of a file in the templates directory"}
	}
	return fault{}
}

func secretRule(text string) fault {
	if !secretPattern.MatchString(text) {
		return fault{"is not the suffix of a secret's name", "use 1 to 64 letters, digits, '_' or '-'"}
	}
	return fault{}
}

func compressionAlgoRule(text string) fault {
	if !every(strings.Fields(text), func(w string) bool { return oneOf("gzip", "deflate", "raw-deflate", "identity")(w) == fault{} }) {
		return fault{"is not a compression algorithm", "use gzip, deflate, raw-deflate or identity"}
	}
	return fault{}
}

func compressionTypeRule(text string) fault {
	if !every(strings.Fields(text), mediaPattern.MatchString) {
		return fault{"is not a list of media types", "write for example text/plain application/json"}
	}
	return fault{}
}

func connectionModes() []string {
	return []string{"http-keep-alive", "http-server-close", "httpclose", "forceclose", "http-tunnel"}
}

func balances() []string {
	return []string{"roundrobin", "static-rr", "leastconn", "first", "source", "random"}
}
