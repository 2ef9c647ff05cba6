package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice/crdt"
)

const (
	specVersion = "1.0"
	jsonType    = "application/json"
)

// envelope is the CloudEvent as Encode writes it, attributes in the order of the README.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time,omitempty"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	HLC             string          `json:"hlc,omitempty"`
	Node            string          `json:"node,omitempty"`
	Actor           string          `json:"actor,omitempty"`
	Origin          string          `json:"origin,omitempty"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Seen            string          `json:"seen,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

// marshal writes v as compact JSON without escaping HTML: an escape would make other
// bytes of the same value.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Encode returns the CloudEvent in structured JSON. It refuses with ErrEvent whatever
// DecodeEvent would refuse, so that nothing without effect gets into the log.
func (e Event) Encode() ([]byte, error) {
	if err := checkSize(e.Data); err != nil {
		return nil, err
	}
	return e.encode()
}

// encode is Encode for any value that an event has room for.
func (e Event) encode() ([]byte, error) {
	env := envelope{
		SpecVersion: specVersion, ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		Actor: e.Actor, Origin: e.Origin, TraceParent: e.TraceParent, Seen: e.Seen, Data: e.Data,
	}
	if env.Type == "" {
		env.Type = EventType(e.Subject, e.Deleted)
	}
	if !e.Time.IsZero() {
		env.Time = e.Time.UTC().Format(time.RFC3339Nano)
	}
	if !e.Deleted {
		env.DataContentType = jsonType
	}
	if !e.Stamp.IsZero() {
		env.HLC, env.Node = hex16(e.Stamp.HLC), hex16(e.Stamp.Node)
	}
	data, err := marshal(env)
	if err != nil {
		return nil, err
	}
	back, err := decodeEvent(data)
	if err != nil {
		return nil, err
	}
	if back.Deleted != e.Deleted {
		return nil, fmt.Errorf("%w: attribute %q: %.60q does not fit the deletion mark", ErrEvent, "type", e.Type)
	}
	if !bytes.Equal(back.Data, e.Data) {
		return nil, fmt.Errorf("%w: attribute %q: not compact JSON", ErrEvent, "data")
	}
	return data, nil
}

// DecodeEvent reads a CloudEvent in structured JSON. It is strict, because what it
// accepts is part of the fold version: all replicas must agree on it for ever. Extension
// attributes that it does not know are skipped. The error wraps ErrEvent.
func DecodeEvent(data []byte) (Event, error) {
	e, err := decodeEvent(data)
	if err == nil {
		err = checkSize(e.Data)
	}
	if err != nil {
		return Event{}, err
	}
	return e, nil
}

// checkSize refuses a value that not every event of its key would have room for. ErrEvent.
func checkSize(value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("%w: attribute %q: %d bytes, at most %d are allowed", ErrEvent, "data", len(value), MaxValue)
	}
	return nil
}

// decodeEvent is DecodeEvent for any value that an event has room for.
func decodeEvent(data []byte) (Event, error) {
	if len(data) > MaxEvent {
		return Event{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrEvent, len(data), MaxEvent)
	}
	o, err := readObject(data)
	if err != nil {
		return Event{}, err
	}
	var e Event
	for _, read := range []func(object) error{e.readContext, e.readTime, e.readStamp, e.readKey, e.readData} {
		if err := read(o); err != nil {
			return Event{}, err
		}
	}
	return e, nil
}

func (e *Event) readContext(o object) error {
	var spec string
	for _, a := range []struct {
		name     string
		to       *string
		required bool
	}{
		{"specversion", &spec, true},
		{"id", &e.ID, true},
		{"source", &e.Source, true},
		{"type", &e.Type, true},
		{"subject", &e.Subject, true},
		{"actor", &e.Actor, false},
		{"origin", &e.Origin, false},
		{"traceparent", &e.TraceParent, false},
	} {
		text, err := o.text(a.name)
		if err != nil {
			return err
		}
		if text == "" && a.required {
			return fmt.Errorf("%w: attribute %q: missing", ErrEvent, a.name)
		}
		*a.to = text
	}
	// A newer attribute than the fold: whatever it holds, the event stays what it is.
	if e.Seen, _ = o.text("seen"); e.Seen != seenNothing {
		if _, err := crdt.ParseStamp(e.Seen); err != nil {
			e.Seen = ""
		}
	}
	if spec != specVersion {
		return fmt.Errorf("%w: attribute %q: %.20q, want %q", ErrEvent, "specversion", spec, specVersion)
	}
	return nil
}

func (e *Event) readTime(o object) error {
	text, err := o.text("time")
	if err != nil || text == "" {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 || t.IsZero() {
		return fmt.Errorf("%w: attribute %q: %.40q is no RFC 3339 time", ErrEvent, "time", text)
	}
	e.Time = t.UTC()
	return nil
}

func (e *Event) readStamp(o object) error {
	hlc, err := o.text("hlc")
	if err != nil {
		return err
	}
	node, err := o.text("node")
	if err != nil || hlc == "" && node == "" {
		return err
	}
	if e.Stamp.HLC, err = parseHex16("hlc", hlc); err != nil {
		return err
	}
	if e.Stamp.Node, err = parseHex16("node", node); err != nil {
		return err
	}
	// The top bit may be clear: a write that came raw keeps the stamp it was given when
	// it is offered to another log.
	if e.Stamp.Node == 0 {
		return fmt.Errorf("%w: attribute %q: no identity is zero", ErrEvent, "node")
	}
	return nil
}

func (e *Event) readKey(object) error {
	if err := CheckKey(e.Subject); err != nil {
		return fmt.Errorf("%w: attribute %q: %w", ErrEvent, "subject", err)
	}
	switch e.Type {
	case EventType(e.Subject, false):
	case EventType(e.Subject, true):
		e.Deleted = true
	default:
		return fmt.Errorf("%w: attribute %q: %.60q, want %q or %q", ErrEvent, "type", e.Type,
			EventType(e.Subject, false), EventType(e.Subject, true))
	}
	return nil
}

func (e *Event) readData(o object) error {
	if _, ok := o.get("data_base64"); ok {
		return fmt.Errorf("%w: attribute %q: want JSON in \"data\"", ErrEvent, "data_base64")
	}
	media, err := o.text("datacontenttype")
	if err != nil {
		return err
	}
	if base, _, _ := strings.Cut(media, ";"); media != "" && base != jsonType {
		return fmt.Errorf("%w: attribute %q: %.60q, want %q", ErrEvent, "datacontenttype", media, jsonType)
	}
	raw, ok := o.get("data")
	given := ok && string(raw) != "null"
	switch {
	case e.Deleted && given:
		return fmt.Errorf("%w: attribute %q: a removal has none", ErrEvent, "data")
	case e.Deleted:
		return nil
	case !given || raw[0] != '{':
		return fmt.Errorf("%w: attribute %q: want a JSON object", ErrEvent, "data")
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return fmt.Errorf("%w: attribute %q: %w", ErrEvent, "data", err)
	}
	e.Data = b.Bytes()
	return nil
}

func hex16(v uint64) string { return string(appendHex16(nil, v)) }

func appendHex16(b []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}

// parseHex16 reads exactly 16 lower-case hex digits.
func parseHex16(name, text string) (uint64, error) {
	v, err := strconv.ParseUint(text, 16, 64)
	if err != nil || hex16(v) != text {
		return 0, fmt.Errorf("%w: attribute %q: %.40q, want 16 lower-case hex digits", ErrEvent, name, text)
	}
	return v, nil
}

// EntryEvent is the event that publishes an entry, its id the stamp's text. Fill in
// Time, Actor, Origin and TraceParent as known.
func EntryEvent(source string, e crdt.Entry) Event {
	return Event{
		ID: e.Stamp.String(), Source: source, Type: EventType(e.Key, e.Deleted), Subject: e.Key,
		Stamp: e.Stamp, Deleted: e.Deleted, Data: e.Value,
	}
}
