package proxy

import (
	"regexp"
	"strings"

	"sluice/crdt/service"
)

// safeWord needs no quotes: nothing in it means anything to HAProxy's parser.
var safeWord = regexp.MustCompile(`^[A-Za-z0-9_./:,=@+*-]+$`)

// quote makes s one literal word of a configuration line. Inside single quotes
// HAProxy's parser gives no character a meaning, so only the quote itself is handled
// (HAProxy configuration manual, section 2.2).
func quote(s string) string {
	if safeWord.MatchString(s) {
		return s
	}
	return singleQuoted(s)
}

func singleQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// argument makes s one literal argument of a converter. Arguments know the same single
// quotes; the whole expression is quoted once more by the line that holds it.
func argument(s string) string { return singleQuoted(s) }

// format makes a log-format word of a header's value: its text is literal, its sample
// fetches and variables stay what they are.
func format(h service.Header) string {
	var b strings.Builder
	for _, part := range h.Parts() {
		b.WriteString(part.String())
	}
	return quote(b.String())
}

// unprintable reports a character that must never reach a configuration line.
func unprintable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}
