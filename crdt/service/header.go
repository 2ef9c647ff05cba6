package service

import (
	"regexp"
	"strings"
)

var (
	tokenPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")
	flagsPattern = regexp.MustCompile(`%\{[^}]*\}\[`)
)

// Part is a piece of a header's value: literal text, or a sample fetch expression to be
// evaluated for each request (without its "%[" and "]").
type Part struct {
	Text  string
	Fetch bool
}

// Parts splits the value. Everything outside %[…] is literal, whatever it looks like.
func (h Header) Parts() []Part {
	var parts []Part
	rest := h.Value
	for {
		before, after, found := strings.Cut(rest, "%[")
		if before != "" {
			parts = append(parts, Part{Text: before})
		}
		if !found {
			return parts
		}
		expr, tail, closed := strings.Cut(after, "]")
		parts = append(parts, Part{Text: expr, Fetch: true})
		if !closed {
			return parts // refused by Validate
		}
		rest = tail
	}
}

// headers reads "Name value [if …|unless …]" elements. A backslash before a blank makes
// the blank an ordinary character, as in HAProxy's own syntax; every other backslash and
// every quote is literal. What is missing stays empty, to be refused by Validate.
func headers(parts []string) []Header {
	var all []Header
	for _, part := range parts {
		name, rest, _ := strings.Cut(part, " ")
		value, condition := cutCondition(rest)
		all = append(all, Header{Name: name, Value: unescape(value), Condition: condition})
	}
	return all
}

// cutCondition splits rest at its last word "if" or "unless" that is not glued to its
// neighbours by an escaped blank.
func cutCondition(rest string) (value, condition string) {
	for i := len(rest) - 1; i >= 0; i-- {
		if i > 0 && (rest[i-1] != ' ' || i > 1 && rest[i-2] == '\\') {
			continue
		}
		word, _, _ := strings.Cut(rest[i:], " ")
		if word == "if" || word == "unless" {
			return rest[:i], rest[i:]
		}
	}
	return rest, ""
}

func unescape(value string) string {
	return strings.Trim(strings.ReplaceAll(strings.Trim(value, " "), `\ `, " "), " ")
}

// direction is where a header operation happens.
type direction int

const (
	request direction = iota
	response
)

// headerList judges one list of header operations.
func (v *validator) headerList(param string, all []Header, dir direction) {
	v.length(param, len(all))
	for _, h := range all {
		v.text(param, h.Name, headerNameRule)
		if h.Value == "" {
			v.add(param, h.Name, fault{"has a header without value", "write Name value"})
			continue
		}
		v.text(param, h.Value, nil)
		for _, part := range h.Parts() {
			if part.Fetch {
				v.add(param, h.Value, fetchFault(part.Text, dir))
			}
		}
		v.add(param, h.Value, formatFault(h.Value))
		v.condition(param, h.Condition, dir)
	}
}

// formatFault refuses the parts of HAProxy's format syntax that would otherwise arrive as
// text although they were surely not meant as text.
func formatFault(value string) fault {
	if start := strings.LastIndex(value, "%["); start >= 0 && !strings.Contains(value[start:], "]") {
		return fault{"has an unfinished %[", "close it with ]"}
	}
	if flagsPattern.MatchString(value) {
		return fault{"has flags before a sample fetch", "write %[…] without {…}"}
	}
	return fault{}
}

func (v *validator) condition(param, condition string, dir direction) {
	if condition == "" {
		return
	}
	v.text(param, condition, nil)
	if !v.limits.AllowRaw {
		v.add(param, condition, conditionFault(condition, dir))
		return
	}
	word, rest, _ := strings.Cut(condition, " ")
	if word != "if" && word != "unless" || strings.Trim(rest, " ") == "" {
		v.add(param, condition, fault{"is not a condition", "write if … or unless …"})
	}
}

// headerNameRule admits RFC 9110 field names, except those that frame a message: another
// value there would let one request be read as two.
func headerNameRule(text string) fault {
	if f := tokenRule(text); f != (fault{}) {
		return fault{"is not a header name", "use letters, digits and '-', and a blank before the value"}
	}
	switch strings.ToLower(text) {
	case "content-length", "transfer-encoding":
		return fault{"is a header that frames the message", "leave it to the proxy"}
	}
	return fault{}
}

func tokenRule(text string) fault {
	if !tokenPattern.MatchString(text) {
		return fault{"is not a token", "use letters, digits and '-'"}
	}
	return fault{}
}

// matchNameRule leaves out of the tokens what quotes within an expression of HAProxy.
func matchNameRule(text string) fault {
	if tokenRule(text) != (fault{}) || strings.ContainsAny(text, "'`") {
		return fault{"is not a header name", "use letters, digits and '-', and a colon before the value"}
	}
	return fault{}
}

// matchList judges serviceHeader.
func (v *validator) matchList(param string, all []Match) {
	v.length(param, len(all))
	for _, m := range all {
		v.text(param, m.Name, matchNameRule)
		v.text(param, m.Value, patternRule)
		if m.Value == "" {
			v.add(param, m.Name, fault{"has a header without value", "write Name:value"})
		}
	}
}
