package service

import (
	"regexp"
	"slices"
	"strings"
)

// Part is a piece of a header's value: literal text, a sample fetch expression or a
// variable of HAProxy's log formats, to be evaluated for each request.
type Part struct {
	// Text is the literal text, the expression without its "%[" and "]", or the name of the
	// variable without its "%".
	Text string
	// Fetch and Variable say what it is; neither: text.
	Fetch, Variable bool
	// Flags of a fetch or variable: "+Q" or "+Q,-X"; empty for none.
	Flags string
}

// String is the part in HAProxy's log-format syntax.
func (p Part) String() string {
	sign := "%"
	if p.Flags != "" {
		sign = "%{" + p.Flags + "}"
	}
	switch {
	case p.Fetch:
		return sign + "[" + p.Text + "]"
	case p.Variable:
		return sign + p.Text
	}
	return strings.ReplaceAll(p.Text, "%", "%%")
}

// Variables are the names of HAProxy's log-format variables (configuration manual, section
// 8.2), written %name in a header's value.
func Variables() []string {
	return strings.Fields("B CC CS H HM HP HPO HQ HU HV ID ST T TR Ta Tc Td Th Ti Tl Tq Tr Ts Tt Tu Tw U " +
		"ac b bc bi bp bq ci cp f fc fi fp ft hr hrl hs hsl lc ms o pid r rc rt s sc si sp sq sslc sslv t tr trg trl ts tsc")
}

var (
	// codePattern matches a fetch, up to its bracket if it has one, or what may be a variable.
	codePattern = regexp.MustCompile(`^%(?:\{([+-][QXE](?:,[+-][QXE])*)\})?(?:(\[)([^\]]*)(\]?)|([A-Za-z][A-Za-z0-9]*))`)
	// flagsPattern matches flags before a fetch.
	flagsPattern = regexp.MustCompile(`^%\{[^}]*\}\[`)
)

// Parts splits the value. A percent sign is written %%, or % where nothing of the above follows.
func (h Header) Parts() []Part {
	parts, _ := parseFormat(h.Value) // a fault is refused by Validate
	return parts
}

// parseFormat splits value. The fault is something that would arrive as text although it was
// surely not meant as text.
func parseFormat(value string) (parts []Part, f fault) {
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, Part{Text: text.String()})
			text.Reset()
		}
	}
	for {
		before, _, found := strings.Cut(value, "%")
		text.WriteString(before)
		if value = value[len(before):]; !found {
			flush()
			return parts, f
		}
		part, length, wrong := cutCode(value)
		if wrong != (fault{}) {
			f = wrong
		}
		if part.Fetch || part.Variable {
			flush()
			parts = append(parts, part)
		} else {
			text.WriteString(part.Text)
		}
		value = value[length:]
	}
}

// cutCode reads what a percent sign begins, and says how long that is.
func cutCode(value string) (p Part, length int, f fault) {
	if strings.HasPrefix(value, "%%") {
		return Part{Text: "%"}, len("%%"), fault{}
	}
	m := codePattern.FindStringSubmatch(value)
	switch {
	case m == nil && flagsPattern.MatchString(value):
		f = fault{"has flags before a sample fetch that are not known", "use +Q, +X or +E, or write %[…] without {…}"}
	case m == nil:
	case m[2] != "":
		if m[4] == "" {
			f = fault{"has an unfinished %[", "close it with ]"}
		}
		return Part{Text: m[3], Fetch: true, Flags: m[1]}, len(m[0]), f
	case slices.Contains(Variables(), m[5]):
		return Part{Text: m[5], Variable: true, Flags: m[1]}, len(m[0]), f
	}
	return Part{Text: "%"}, len("%"), f
}
