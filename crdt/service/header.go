package service

import (
	"regexp"
	"strings"
)

var tokenPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")

// headers reads "Name value [if …|unless …]" elements. What is missing stays empty, to be
// refused by Validate.
func headers(parts []string) []Header {
	var all []Header
	for _, part := range parts {
		name, rest, _ := strings.Cut(part, " ")
		value, condition := cutCondition(rest)
		all = append(all, Header{Name: name, Value: headerValue(value), Condition: condition})
	}
	return all
}

// cutCondition splits rest at its last word "if" or "unless" that is neither glued to its
// neighbours by an escaped blank nor within the quotes of the value.
func cutCondition(rest string) (value, condition string) {
	from := quotedLength(rest)
	for i := len(rest) - 1; i >= from; i-- {
		if i > 0 && (rest[i-1] != ' ' || i > 1 && rest[i-2] == '\\') {
			continue
		}
		if conditional(rest[i:]) {
			return rest[:i], rest[i:]
		}
	}
	return rest, ""
}

func conditional(text string) bool {
	word, _, _ := strings.Cut(text, " ")
	return word == "if" || word == "unless"
}

// quotedLength is how much of rest is a value that is one word by its quotes, with nothing but
// a condition after it; 0 if there is none.
func quotedLength(rest string) int {
	_, after, ok := cutWord(strings.TrimLeft(rest, " "))
	length := len(rest) - len(after)
	after = strings.Trim(after, " ")
	if !ok || !strings.ContainsAny(rest[:length], `"'`) || after != "" && !conditional(after) {
		return 0
	}
	return length
}

// headerValue is the value that text stands for: what HAProxy takes for one word loses the
// quotes and backslashes that made it one. Docker Flow Proxy could send nothing else, so in
// several words they are literal, except that "\ " is a blank.
func headerValue(text string) string {
	word, rest, ok := cutWord(strings.TrimLeft(text, " "))
	if !ok || strings.Trim(rest, " ") != "" {
		word = strings.ReplaceAll(strings.Trim(text, " "), `\ `, " ")
	}
	return strings.Trim(word, " ")
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
		parts, f := parseFormat(h.Value)
		v.add(param, h.Value, f)
		for _, part := range parts {
			if part.Fetch {
				v.add(param, h.Value, fetchFault(part.Text, dir))
			}
		}
		v.condition(param, h.Condition, dir)
	}
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
