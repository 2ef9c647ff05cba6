package service

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrIncomplete marks a definition in HTTP mode that says neither path nor domain.
// Docker Flow Proxy answers 409 to it, which its listener takes as final.
var ErrIncomplete = errors.New("the definition is incomplete")

// Limits of what one answer reports.
const (
	maxProblems   = 50 // more would only hide the first
	maxShownValue = 60 // bytes of a value that an error shows
)

// FieldError says what is wrong with one parameter and how to put it right.
type FieldError struct {
	// Param is the parameter's name with its index, for example servicePath.2.
	Param string `json:"param"`
	// Value is the offending text, at most 60 bytes of it; empty for secrets.
	Value string `json:"value,omitempty"`
	// Problem completes the sentence "<param> …".
	Problem string `json:"problem"`
	// Remedy is an instruction; empty where the problem says it already.
	Remedy string `json:"remedy,omitempty"`
	// Taken: the value is fine, but belongs to somebody else.
	Taken bool `json:"-"`
}

// Error is one line, whatever the value holds.
func (e FieldError) Error() string {
	var b strings.Builder
	b.WriteString(e.Param)
	if e.Value != "" {
		fmt.Fprintf(&b, " %q", e.Value)
	}
	b.WriteString(" " + e.Problem)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Errors holds every problem of one definition. Find it with errors.As.
type Errors []FieldError

// Error is one line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, " | ")
}

// Taken reports whether nothing is wrong but that values belong to somebody else.
func (e Errors) Taken() bool {
	return len(e) > 0 && !slices.ContainsFunc(e, func(one FieldError) bool { return !one.Taken })
}

// fault is why a value is refused; the zero fault means it is fine.
type fault struct{ problem, remedy string }

// rule judges one text.
type rule func(text string) fault

// problems collects field errors.
type problems struct{ list Errors }

// add records f under param, unless f is the zero fault.
func (p *problems) add(param, value string, f fault) {
	if f == (fault{}) || len(p.list) >= maxProblems {
		return
	}
	p.list = append(p.list, FieldError{Param: param, Value: shorten(value), Problem: f.problem, Remedy: f.remedy})
}

// taken records that a value belongs to somebody else.
func (p *problems) taken(param, value string, f fault) {
	before := len(p.list)
	if p.add(param, value, f); len(p.list) > before {
		p.list[before].Taken = true
	}
}

// err is nil if nothing was recorded.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return p.list
}

// shorten cuts text to at most maxShownValue bytes without splitting a character.
func shorten(text string) string {
	if len(text) <= maxShownValue {
		return text
	}
	const mark = "…"
	cut := maxShownValue - len(mark)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + mark
}
