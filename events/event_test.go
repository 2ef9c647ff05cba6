package events_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

func fullEvent() events.Event {
	return events.Event{
		ID: "1", Source: "/sluice/docker-flow/a", Type: "sluice.service.put", Subject: "service/go-demo",
		Time:  time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Stamp: crdt.Stamp{HLC: 0x1234, Node: 1<<63 | 5},
		Actor: "jane <j@x>", Origin: "api", TraceParent: "00-a-b-01", Data: []byte(`{"a":"<&>","b":[1,2]}`),
	}
}

func TestEventOnTheWire(t *testing.T) {
	data, err := fullEvent().Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"1","source":"/sluice/docker-flow/a","type":"sluice.service.put",` +
		`"subject":"service/go-demo","time":"2026-01-02T03:04:05.000000006Z","datacontenttype":"application/json",` +
		`"hlc":"0000000000001234","node":"8000000000000005","actor":"jane <j@x>","origin":"api",` +
		`"traceparent":"00-a-b-01","data":{"a":"<&>","b":[1,2]}}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("wire form differs (-want +got):\n%s", diff)
	}
	removed := events.Event{ID: "2", Source: "ci", Subject: "service/go-demo", Deleted: true}
	if data, err = removed.Encode(); err != nil {
		t.Fatal(err)
	}
	want = `{"specversion":"1.0","id":"2","source":"ci","type":"sluice.service.removed","subject":"service/go-demo"}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("removal differs (-want +got):\n%s", diff)
	}
}

func TestEventComesBack(t *testing.T) {
	for name, want := range map[string]events.Event{
		"full":    fullEvent(),
		"raw":     {ID: "x", Source: "ci", Type: "sluice.service.put", Subject: "service/a", Data: []byte(`{}`)},
		"removal": {ID: "x", Source: "ci", Type: "sluice.cert.removed", Subject: "cert/a b", Deleted: true, Stamp: at(1, 1)},
		// A raw write keeps the stamp that a fold gave it when it is offered to another log.
		"stamp of a sequence": {ID: "x", Source: "a", Type: "sluice.service.put", Subject: "service/a", Data: []byte(`{}`), Stamp: crdt.Stamp{HLC: 9, Node: 17}},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := want.Encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := events.DecodeEvent(data)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("differs (-want +got):\n%s%v", diff, err)
			}
		})
	}
}

func TestDecodeEventAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"white space, any order, unknown extensions": "\n{ \"data\" : { \"a\" : 1 } , \"myext\":[{\"x\":\"}\"}], \"subject\":\"service/a\",\r\n\"type\":\"sluice.service.put\"," +
			"\"source\":\"ci\",\"id\":\"1\",\"specversion\":\"1.0\" } ",
		"null for absent": `{"specversion":"1.0","id":"1","source":"ci","type":"sluice.service.put","subject":"service/a","time":null,"hlc":null,"node":null,"actor":null,"data":{"a":1}}`,
		"escapes":         `{"specversion":"1.0","i\u0064":"\u0031","source":"ci","type":"sluice.service.put","subject":"service\/a","data":{"a":1}}`,
		"media type with charset": `{"specversion":"1.0","id":"1","source":"ci","type":"sluice.service.put","subject":"service/a",` +
			`"datacontenttype":"application/json; charset=utf-8","data":{"a":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := events.DecodeEvent([]byte(text))
			want := events.Event{ID: "1", Source: "ci", Type: "sluice.service.put", Subject: "service/a", Data: []byte(`{"a":1}`)}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("differs (-want +got):\n%s%v", diff, err)
			}
		})
	}
}

// Each case replaces attributes of a good event; nil removes one.
func TestDecodeEventRefusesAttributes(t *testing.T) {
	for name, c := range map[string]struct {
		attribute string
		change    map[string]any
	}{
		"no specversion":           {"specversion", map[string]any{"specversion": nil}},
		"another specversion":      {"specversion", map[string]any{"specversion": "0.3"}},
		"number for text":          {"id", map[string]any{"id": 7}},
		"empty id":                 {"id", map[string]any{"id": ""}},
		"no source":                {"source", map[string]any{"source": nil}},
		"unknown verb":             {"type", map[string]any{"type": "sluice.service.set"}},
		"kind of another key":      {"type", map[string]any{"type": "sluice.cert.put"}},
		"no kind":                  {"subject", map[string]any{"subject": "a"}},
		"upper-case kind":          {"subject", map[string]any{"subject": "Service/a", "type": "sluice.Service.put"}},
		"empty name":               {"subject", map[string]any{"subject": "service/"}},
		"name of 201 bytes":        {"subject", map[string]any{"subject": "service/" + strings.Repeat("a", 201)}},
		"line break in the key":    {"subject", map[string]any{"subject": "service/a\nb"}},
		"NUL in the actor":         {"actor", map[string]any{"actor": "a\x00"}},
		"long actor":               {"actor", map[string]any{"actor": strings.Repeat("a", 1025)}},
		"object as origin":         {"origin", map[string]any{"origin": map[string]any{}}},
		"no time":                  {"time", map[string]any{"time": "yesterday"}},
		"hlc without node":         {"node", map[string]any{"node": nil}},
		"node without hlc":         {"hlc", map[string]any{"hlc": nil}},
		"upper-case hlc":           {"hlc", map[string]any{"hlc": "00000000000000AB"}},
		"short node":               {"node", map[string]any{"node": "8000000000001"}},
		"signed node":              {"node", map[string]any{"node": "+800000000000001"}},
		"node zero":                {"node", map[string]any{"node": "0000000000000000"}},
		"put without data":         {"data", map[string]any{"data": nil}},
		"array as data":            {"data", map[string]any{"data": []int{1}}},
		"text as data":             {"data", map[string]any{"data": "{}"}},
		"removal with data":        {"data", map[string]any{"type": "sluice.service.removed"}},
		"base64 data":              {"data_base64", map[string]any{"data_base64": "e30="}},
		"XML":                      {"datacontenttype", map[string]any{"datacontenttype": "application/xml"}},
		"replacement in an escape": {"id", map[string]any{"id": "\ufffd"}},
	} {
		t.Run(name, func(t *testing.T) {
			good := map[string]any{"specversion": "1.0", "id": "1", "source": "ci", "type": "sluice.service.put", "subject": "service/a",
				"hlc": "00000000000000ab", "node": "8000000000000001", "data": map[string]any{}}
			maps.Copy(good, c.change)
			for k, v := range good {
				if v == nil {
					delete(good, k)
				}
			}
			text, err := json.Marshal(good)
			if err != nil {
				t.Fatal(err)
			}
			_, err = events.DecodeEvent(text)
			if !errors.Is(err, events.ErrEvent) || !strings.Contains(err.Error(), `"`+c.attribute+`"`) {
				t.Errorf("error %v, want one that names %q", err, c.attribute)
			}
		})
	}
}

func TestDecodeEventRefusesForms(t *testing.T) {
	good := `{"specversion":"1.0","id":"1","source":"ci","type":"sluice.service.put","subject":"service/a","data":{}}`
	if _, err := events.DecodeEvent([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "null": "null", "array": "[" + good + "]", "text": `"a"`,
		"trailing bytes": good + "x", "two objects": good + good, "cut": good[:len(good)-1], "trailing comma": good[:len(good)-1] + ",}",
		"attribute twice":            good[:len(good)-1] + `,"id":"2"}`,
		"attribute twice, escaped":   good[:len(good)-1] + `,"\u0069d":"2"}`,
		"null twice":                 good[:len(good)-1] + `,"time":null,"time":null}`,
		"not UTF-8":                  strings.Replace(good, "ci", "c\xff", 1),
		"half a surrogate pair":      strings.Replace(good, "ci", `c\ud800`, 1),
		"more than 256 KiB":          strings.Replace(good, "{}", `{"a":"`+strings.Repeat("x", events.MaxEvent)+`"}`, 1),
		"too many attributes":        good[:len(good)-1] + manyAttributes(60) + "}",
		"upper-case attribute names": strings.Replace(good, `"id"`, `"ID"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := events.DecodeEvent([]byte(text)); !errors.Is(err, events.ErrEvent) {
				t.Errorf("error %v, read %v", err, e)
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"x` + strings.Repeat("y", i) + `":1`)
	}
	return b.String()
}

func TestEncodeRefusesWhatNobodyCouldDecode(t *testing.T) {
	for name, change := range map[string]func(*events.Event){
		"no id":               func(e *events.Event) { e.ID = "" },
		"bad key":             func(e *events.Event) { e.Subject, e.Type = "x", "" },
		"data of a removal":   func(e *events.Event) { e.Deleted, e.Type = true, "" },
		"type of the other":   func(e *events.Event) { e.Type = "sluice.service.removed" },
		"data not compact":    func(e *events.Event) { e.Data = []byte(`{ "a": 1 }`) },
		"data not JSON":       func(e *events.Event) { e.Data = []byte(`{`) },
		"data too long":       func(e *events.Event) { e.Data = []byte(`{"a":"` + strings.Repeat("x", events.MaxEvent) + `"}`) },
		"line break in actor": func(e *events.Event) { e.Actor = "a\nb" },
	} {
		t.Run(name, func(t *testing.T) {
			e := fullEvent()
			change(&e)
			if data, err := e.Encode(); !errors.Is(err, events.ErrEvent) {
				t.Errorf("error %v, wrote %s", err, data)
			}
		})
	}
}

func FuzzDecodeEvent(f *testing.F) {
	full, err := fullEvent().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(`{"specversion":"1.0","id":"2","source":"ci","type":"sluice.service.removed","subject":"service/a","x":[{"}":"\\\""}]}`))
	f.Add([]byte(`{"specversion":"1.0","id":"\u0031","source":"ci","type":"sluice.a.put","subject":"a/\u00e9","time":"2026-01-02T03:04:05+23:59","data":{"a":1e9}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := events.DecodeEvent(data)
		if err != nil {
			if !errors.Is(err, events.ErrEvent) {
				t.Errorf("error without sentinel: %v", err)
			}
			return
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatalf("encode %+v: %v", e, err)
		}
		encodable(t, e)
		back, err := events.DecodeEvent(again)
		if diff := cmp.Diff(e, back); diff != "" || err != nil {
			t.Errorf("differs (-first +second):\n%s%v", diff, err)
		}
	})
}
