package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// ErrClear is returned by Canonical while there are secrets in the clear.
var ErrClear = errors.New("the definition holds secrets in the clear")

// ErrTooLarge is returned by Canonical for more than MaxEncoded bytes.
var ErrTooLarge = errors.New("the definition is larger than 65536 bytes")

// Canonical is the one JSON text of this meaning: fields in the order of Service, zero
// fields left out, no white space, no HTML escapes. Errors: ErrClear, ErrTooLarge.
func (s *Service) Canonical() ([]byte, error) {
	if len(s.Clear.Passwords) > 0 || s.Clear.Cert != "" {
		return nil, fmt.Errorf("encode service %q: %w", s.Name, ErrClear)
	}
	data, err := encode(s)
	if err != nil {
		return nil, fmt.Errorf("encode service %q: %w", s.Name, err)
	}
	if len(data) > MaxEncoded {
		return nil, fmt.Errorf("encode service %q: %w", s.Name, ErrTooLarge)
	}
	return data, nil
}

// encode writes the normalised form of s without its clear secrets.
func encode(s *Service) ([]byte, error) {
	c := s.Clone()
	c.normalise()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Equal reports whether a and b mean the same. Sealed certificates are compared by
// fingerprint, because sealing the same one twice gives two boxes.
func Equal(a, b Service) bool {
	a, b = a.Clone(), b.Clone()
	for _, c := range []*Sealed{a.ServiceCert, b.ServiceCert} {
		if c != nil && c.Fingerprint != "" {
			c.Box = ""
		}
	}
	left, errA := encode(&a)
	right, errB := encode(&b)
	return errA == nil && errB == nil && bytes.Equal(left, right) &&
		a.Clear.Cert == b.Clear.Cert && maps.Equal(a.Clear.Passwords, b.Clear.Passwords)
}

// EqualEncoded is Equal for canonical documents; false if one cannot be read.
func EqualEncoded(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if !mayHoldSecret(a) && !mayHoldSecret(b) { // only secrets can be written in several ways
		return false
	}
	left, errA := Decode(a)
	right, errB := Decode(b)
	return errA == nil && errB == nil && Equal(left, right)
}

// mayHoldSecret reports whether a canonical document may hold users or a certificate.
func mayHoldSecret(doc []byte) bool {
	return bytes.Contains(doc, []byte(`"users"`)) || bytes.Contains(doc, []byte(`"serviceCert"`))
}

// Clone is a copy that shares nothing with s.
func (s Service) Clone() Service {
	s.Destinations = slices.Clone(s.Destinations)
	for i := range s.Destinations {
		d := &s.Destinations[i]
		cloneLists(reflect.ValueOf(d).Elem())
	}
	cloneLists(reflect.ValueOf(&s).Elem())
	if s.Replicas != nil {
		n := *s.Replicas
		s.Replicas = &n
	}
	if s.ServiceCert != nil {
		c := *s.ServiceCert
		s.ServiceCert = &c
	}
	if s.Source != nil {
		src := *s.Source
		s.Source = &src
	}
	s.Clear.Passwords = maps.Clone(s.Clear.Passwords)
	return s
}

// cloneLists replaces every slice of the struct v by a copy. Their elements are plain
// values, except Destinations, which Clone copies itself.
func cloneLists(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Slice && !f.IsNil() {
			f.Set(reflect.AppendSlice(reflect.MakeSlice(f.Type(), 0, f.Len()), f))
		}
	}
}
