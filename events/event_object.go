package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// attribute is one member of a JSON object: its name and the text of its value.
type attribute struct {
	name string
	raw  []byte
}

// object is a JSON object whose members are read by their exact names. encoding/json
// would match names regardless of case and let the last of several win, and which
// messages can be decoded must never depend on such details.
type object []attribute

// readObject splits data, which must hold one JSON object in valid UTF-8 and nothing
// else, into its members. Repeated names are an error.
func readObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrEvent)
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf("%w: not JSON", ErrEvent)
	}
	s := scanner{data: data}
	if s.next() != '{' {
		return nil, fmt.Errorf("%w: not a JSON object", ErrEvent)
	}
	s.pos++
	o := make(object, 0, usualAttributes)
	for s.next() != '}' {
		a, err := s.member()
		if err != nil {
			return nil, err
		}
		if _, twice := o.get(a.name); twice {
			return nil, fmt.Errorf("%w: attribute %.40q: given twice", ErrEvent, a.name)
		}
		o = append(o, a)
		if len(o) > maxAttributes {
			return nil, fmt.Errorf("%w: more than %d attributes", ErrEvent, maxAttributes)
		}
		if s.next() == ',' {
			s.pos++
		}
	}
	return o, nil
}

// maxAttributes bounds the search for repeated names; CloudEvents use about ten.
const maxAttributes = 64

// usualAttributes is room for those of an event of ours.
const usualAttributes = 14

func (o object) get(name string) ([]byte, bool) {
	for _, a := range o {
		if a.name == name {
			return a.raw, true
		}
	}
	return nil, false
}

// text is the string attribute name; absent and null are "".
func (o object) text(name string) (string, error) {
	raw, ok := o.get(name)
	if !ok || string(raw) == "null" {
		return "", nil
	}
	if raw[0] != '"' {
		return "", fmt.Errorf("%w: attribute %q: not a string", ErrEvent, name)
	}
	text, err := unquote(raw)
	if err != nil {
		return "", fmt.Errorf("%w: attribute %q: %w", ErrEvent, name, err)
	}
	if len(text) > maxText {
		return "", fmt.Errorf("%w: attribute %q: longer than %d bytes", ErrEvent, name, maxText)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%w: attribute %q: holds a control character", ErrEvent, name)
	}
	return text, nil
}

// maxText bounds every string attribute in bytes.
const maxText = 1024

// unquote reads a JSON string. An escape that is no character (half a surrogate pair)
// is an error, since decoders replace it and two texts would become one.
func unquote(raw []byte) (string, error) {
	inner := raw[1 : len(raw)-1]
	var text string
	if bytes.IndexByte(inner, '\\') < 0 {
		text = string(inner)
	} else if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("unquote: %w", err)
	}
	if strings.ContainsRune(text, utf8.RuneError) {
		return "", fmt.Errorf("holds an invalid character")
	}
	return text, nil
}

// scanner walks over JSON that is known to be valid.
type scanner struct {
	data []byte
	pos  int
}

// next skips white space and returns the byte that follows, without consuming it.
func (s *scanner) next() byte {
	for {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
}

func (s *scanner) member() (attribute, error) {
	s.next()
	name, err := unquote(s.value())
	if err != nil {
		return attribute{}, fmt.Errorf("%w: attribute name: %w", ErrEvent, err)
	}
	s.next()
	s.pos++ // the colon
	s.next()
	return attribute{name: name, raw: s.value()}, nil
}

// value consumes one value and returns its text.
func (s *scanner) value() []byte {
	start := s.pos
	switch s.data[s.pos] {
	case '"':
		s.skipString()
	case '{', '[':
		s.skipNested()
	default: // number, true, false, null
		for s.pos < len(s.data) && !strings.ContainsRune(" \t\r\n,]}", rune(s.data[s.pos])) {
			s.pos++
		}
	}
	return s.data[start:s.pos:s.pos]
}

func (s *scanner) skipString() {
	for s.pos++; s.data[s.pos] != '"'; s.pos++ {
		if s.data[s.pos] == '\\' {
			s.pos++
		}
	}
	s.pos++
}

func (s *scanner) skipNested() {
	depth := 0
	for {
		switch s.data[s.pos] {
		case '"':
			s.skipString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.pos++
		if depth == 0 {
			return
		}
	}
}
