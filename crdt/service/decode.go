package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// plain has Service's fields without its methods.
type plain Service

// body is what Decode reads: a Service whose users may bring passwords and whose
// certificate may be PEM text. Its own fields hide those of plain.
type body struct {
	plain
	Users       []bodyUser      `json:"users"`
	ServiceCert json.RawMessage `json:"serviceCert"`
}

type bodyUser struct {
	User
	Password string `json:"password"`
	// Secret is "kept" in what the API shows; it keeps nothing by itself.
	Secret string `json:"secret"`
}

// ParseBody reads a definition as people send it: canonical JSON, where users may also be
// {"name","password"} and serviceCert PEM text; both end up in Clear. What is not known is
// refused, since a mistyped name must not leave a service open. The result is normalised, not
// validated. Errors: Errors naming the field.
func ParseBody(data []byte) (Service, error) { return readBody(data, true) }

// Decode reads a definition of the map, where fields that are not known are ignored: a newer
// version may have written it. Otherwise it is ParseBody.
func Decode(data []byte) (Service, error) { return readBody(data, false) }

func readBody(data []byte, strict bool) (Service, error) {
	var p problems
	if len(data) > 2*MaxEncoded {
		p.add("body", "", fault{"is longer than 131072 bytes", "shorten it"})
		return Service{}, p.err()
	}
	var b body
	dec := json.NewDecoder(bytes.NewReader(data))
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(&b); err != nil {
		p.json(err)
		return Service{}, p.err()
	}
	if dec.More() {
		p.add("body", "", fault{"goes on after the JSON document", "send one document"})
		return Service{}, p.err()
	}
	s := Service(b.plain)
	for _, u := range b.Users {
		p.bodyUser(&s, u)
	}
	p.bodyCert(&s, b.ServiceCert)
	if err := p.err(); err != nil {
		return Service{}, err
	}
	s.normalise()
	return s, nil
}

// bodyUser adds u as it stands, or by its password.
func (p *problems) bodyUser(s *Service, u bodyUser) {
	if u.Secret != "" && u.Secret != "kept" {
		p.add("users", "", fault{"has a secret that is not \"kept\"", "write password, or name alone"})
	}
	if u.Password == "" {
		s.Users = append(s.Users, u.User)
		return
	}
	p.addUser(s, u.Name, u.Password)
}

func (p *problems) bodyCert(s *Service, raw json.RawMessage) {
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	if json.Unmarshal(raw, &s.Clear.Cert) == nil {
		return
	}
	var sealed Sealed
	if err := json.Unmarshal(raw, &sealed); err != nil {
		p.add("serviceCert", "", fault{"is neither PEM text nor a sealed certificate", "send the PEM text"})
		return
	}
	s.ServiceCert = &sealed
}

// json turns an error of encoding/json into one that names the field.
func (p *problems) json(err error) {
	var wrong *json.UnmarshalTypeError
	if name, ok := strings.CutPrefix(err.Error(), unknownField); ok {
		name = printableText(strings.Trim(name, `"`))
		p.add(shorten(name), "", unknownFieldFault(name))
		return
	}
	if !errors.As(err, &wrong) {
		p.add("body", "", fault{"is not JSON: " + printableText(err.Error()), "send one JSON object"})
		return
	}
	field := strings.TrimPrefix(strings.TrimPrefix(wrong.Field, "plain."), "Setting.")
	if field == "" {
		field = "body"
	}
	p.add(field, "", fault{"is a JSON " + wrong.Value + " where " + jsonType(wrong.Type.Kind().String()) + " belongs", "change its type"})
}

func jsonType(kind string) string {
	switch kind {
	case "bool", "string":
		return "a " + kind
	case "slice":
		return "an array"
	case "struct", "map":
		return "an object"
	}
	return "a whole number"
}
