package main

import (
	"strings"

	"sluice/crdt/service"
)

// parameterFlag is a flag that stands for one parameter. A list may be given by repeating
// the flag; of anything else the last one counts.
type parameterFlag struct {
	kind  service.Type
	text  string
	given bool
}

// String is the parameter's text so far.
func (f *parameterFlag) String() string { return f.text }

// Type is shown in the help.
func (f *parameterFlag) Type() string { return string(f.kind) }

// Set never fails: the API judges the values, all at once.
func (f *parameterFlag) Set(text string) error {
	joint := f.joint()
	if f.given && joint != "" {
		f.text += joint + text
	} else {
		f.text = text
	}
	f.given = true
	return nil
}

// joint is what separates the elements of a list; empty for what is no list.
func (f *parameterFlag) joint() string {
	switch f.kind {
	case service.List, service.Headers, service.Matches:
		return ","
	case service.Rewrites:
		return ":"
	}
	return ""
}

// kebab turns servicePath into service-path.
func kebab(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('-')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
