package service

import "strings"

// regexRule checks the shape of a regular expression: brackets and escapes are closed.
// What it means is judged by HAProxy, whose dialect (PCRE) knows look-ahead and more
// that Go's parser would refuse.
func regexRule(text string) fault {
	if text == "" {
		return fault{"is an empty regular expression", "write one or leave it out"}
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i == len(text) {
				return fault{"ends in a backslash", `write \\ for a backslash`}
			}
			if text[i] == 'Q' { // literal up to \E, or to the end
				end := strings.Index(text[i:], `\E`)
				if end < 0 {
					end = len(text)
				}
				i += end + 1
			}
		case '[':
			end := classEnd(text[i:])
			if end < 0 {
				return fault{"has an unclosed [", `close it, or write \[`}
			}
			i += end
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return fault{"has a ) without (", `open it, or write \)`}
			}
		}
	}
	if depth > 0 {
		return fault{"has an unclosed (", `close it, or write \(`}
	}
	return fault{}
}

// classEnd is the index of the ] that closes the character class at the start of text,
// negative for none. The first character is never the end, and [:alpha:] is skipped.
func classEnd(text string) int {
	i := 1
	if strings.HasPrefix(text[i:], "^") {
		i++
	}
	if strings.HasPrefix(text[i:], "]") {
		i++
	}
	for ; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], "[:"):
			if end := strings.Index(text[i:], ":]"); end > 0 {
				i += end + 1
			}
		case text[i] == ']':
			return i
		}
	}
	return -1
}
