package service

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// What the words of a condition may look like.
var (
	conditionValue = regexp.MustCompile(`^[A-Za-z0-9_./:*+@~=%&?^$|()\[\],!;-]{1,256}$`)
	conditionNum   = regexp.MustCompile(`^[0-9]{1,10}(:[0-9]{1,10})?$`)
	headerCriteria = regexp.MustCompile(`^(?:(?:hdr|cook)(?:_(?:beg|dir|dom|end|reg|sub))?|(?:req|res)\.(?:hdr|cook))\([A-Za-z0-9_-]{1,64}\)$`)
	pathCriteria   = regexp.MustCompile(`^(?:path|url)(?:_(?:beg|dir|dom|end|reg|sub))?$`)
)

// conditionFault judges "if|unless [!]{ criterion [flags] [values] } [or …]". The words
// it admits hold no quote, backslash, '#' or brace, so they are words of HAProxy's
// configuration as they stand.
func conditionFault(condition string, dir direction) fault {
	bad := fault{"has a condition that is not allowed here",
		`write if or unless and simple criteria such as { ssl_fc } or !{ hdr(X-Name) value }, or write "\ if" if the word is part of the value`}
	words := strings.Fields(condition)
	if len(words) < 2 || words[0] != "if" && words[0] != "unless" {
		return bad
	}
	words = words[1:]
	for len(words) > 0 {
		inner, rest, ok := cutTerm(words)
		if !ok || !allowedCriterion(inner, dir) {
			return bad
		}
		words = rest
		if len(words) > 0 && (words[0] == "or" || words[0] == "||") {
			if words = words[1:]; len(words) == 0 {
				return bad
			}
		}
	}
	return fault{}
}

// cutTerm takes "{ … }" or "!{ … }" from the front of words.
func cutTerm(words []string) (inner, rest []string, ok bool) {
	if words[0] == "!" && len(words) > 1 {
		words = words[1:]
	} else if words[0] == "!{" {
		words = append([]string{"{"}, words[1:]...)
	}
	end := slices.Index(words, "}")
	if words[0] != "{" || end < 2 {
		return nil, nil, false
	}
	return words[1:end], words[end+1:], true
}

func allowedCriterion(words []string, dir direction) bool {
	name, values := words[0], words[1:]
	switch name {
	case "ssl_fc", "ssl_c_used":
		return len(values) == 0
	case "ssl_c_verify", "src_port", "dst_port":
		return every(values, conditionNum.MatchString)
	case "src", "dst":
		return every(values, isNetwork)
	case "status":
		return dir == response && every(values, conditionNum.MatchString)
	case "method":
		return dir == request && every(values, func(w string) bool { return tokenRule(w) == fault{} && conditionValue.MatchString(w) })
	case "ssl_fc_sni":
		return patterns(values, isRegex(words))
	}
	if headerCriteria.MatchString(name) {
		inResponse := strings.HasPrefix(name, "res.")
		return inResponse == (dir == response) && headerValues(values, isRegex(words))
	}
	return dir == request && pathCriteria.MatchString(name) && patterns(values, isRegex(words))
}

// isRegex reports whether a criterion's values are regular expressions.
func isRegex(words []string) bool {
	name, _, _ := strings.Cut(words[0], "(")
	return strings.HasSuffix(name, "_reg") || slices.Contains(words, "reg")
}

// patterns admits flags and at least one value.
func patterns(values []string, regex bool) bool {
	return every(cutFlags(values), func(w string) bool {
		return conditionValue.MatchString(w) && (!regex || regexRule(w) == fault{})
	})
}

// headerValues admits values, and "-m found" without any.
func headerValues(words []string, regex bool) bool {
	return slices.Equal(words, []string{"-m", "found"}) || patterns(words, regex)
}

// cutFlags takes -i and -m <method> from the front of words.
func cutFlags(words []string) []string {
	for len(words) > 0 {
		switch {
		case words[0] == "-i":
			words = words[1:]
		case words[0] == "-m" && len(words) > 1 && slices.Contains(matchMethods(), words[1]):
			words = words[2:]
		default:
			return words
		}
	}
	return words
}

// every wants at least one word, none of which could be taken for a flag.
func every(words []string, ok func(string) bool) bool {
	for _, w := range words {
		if strings.HasPrefix(w, "-") || !ok(w) {
			return false
		}
	}
	return len(words) > 0
}

func isNetwork(text string) bool {
	if _, err := netip.ParsePrefix(text); err == nil {
		return true
	}
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Zone() == ""
}
