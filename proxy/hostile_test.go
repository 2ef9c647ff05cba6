package proxy_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/crdt/seal"
	"sluice/crdt/service"
)

// door is what a request passes before it is rendered.
type door struct {
	limits service.Limits
	key    *seal.Key
	// known are the names that a refusal may give.
	known map[string]bool
	// resolves alternates: hosts have addresses, or none.
	resolves bool
}

func newDoor(t testing.TB, raw bool) *door {
	t.Helper()
	key, err := seal.Parse(strings.Repeat("0123456789abcdef", 3))
	if err != nil {
		t.Fatal(err)
	}
	d := &door{limits: service.Limits{AllowRaw: raw, TemplatesDir: true}, key: key, known: map[string]bool{"service": true}}
	for _, p := range service.Parameters() {
		d.known[p.Name] = true
	}
	return d
}

// take is what the door makes of q; ok is false for a removal.
func (d *door) take(q url.Values) (s service.Service, ok bool, err error) {
	r, err := service.Parse(q, service.Defaults{})
	if err != nil || r.Remove {
		return r.Service, false, err
	}
	if err := r.Service.Validate(d.limits); err != nil {
		return r.Service, false, err
	}
	if err := r.Service.Protect(d.key); err != nil {
		return r.Service, false, err
	}
	value, err := r.Service.Canonical()
	if err != nil {
		return r.Service, false, err
	}
	s, err = service.Decode(value) // what is rendered has been through the log
	return s, err == nil, err
}

// judge fails unless q is refused with its parameter's name, or rendered as it was meant.
func (d *door) judge(t interface {
	Helper()
	Errorf(string, ...any)
}, q url.Values) (service.Service, bool) {
	t.Helper()
	s, ok, err := d.take(q)
	if err != nil {
		if problem := d.complaint(err); problem != "" {
			t.Errorf("%v: %s: %v", q, problem, err)
		}
		return s, false
	}
	if !ok || d.limits.AllowRaw && !readable(s) {
		return s, false
	}
	d.resolves = !d.resolves
	if err := checkIntent(s, d.resolves); err != nil {
		t.Errorf("%q: %v", q, err)
		return s, false
	}
	return s, true
}

// readable reports whether HAProxy reads all words of the definition's raw text; where it
// does not, it refuses or warns, and the door asks it about every raw text.
func readable(s service.Service) bool {
	raw := strings.Split(s.BackendExtra, "\n")
	for _, list := range [][]service.Header{s.AddReqHeader, s.SetReqHeader, s.AddResHeader, s.SetResHeader} {
		for _, h := range list {
			raw = append(raw, h.Condition)
		}
	}
	for _, line := range raw {
		if words, err := splitLine(line); err != nil || slices.Contains(words, "") {
			return false
		}
	}
	return true
}

// complaint says what is wrong with a refusal: it names parameters and remedies, on one line.
func (d *door) complaint(err error) string {
	var list service.Errors
	if !errors.As(err, &list) || len(list) == 0 {
		return "the refusal names no parameter"
	}
	for _, f := range list {
		name, _, _ := strings.Cut(f.Param, ".")
		if !d.known[name] || f.Problem == "" || f.Remedy == "" {
			return "the refusal has no parameter, problem or remedy"
		}
	}
	if strings.ContainsAny(err.Error(), "\n\r\x00") {
		return "the refusal is more than one line"
	}
	return ""
}

var exhaustive = flag.Bool("exhaustive", false, "try every hostile value in every shape and company, not one of each")

// TestHostileValueInEveryParameter: no parameter, whatever it holds and whatever stands
// beside it, becomes syntax.
func TestHostileValueInEveryParameter(t *testing.T) {
	turn := 0
	for _, p := range service.Parameters() {
		d := newDoor(t, true)
		accepted, tried := 0, 0
		try := func(value string, context url.Values) {
			q := merge(baseQuery(), context, companions(p.Name))
			q.Set(p.Name, value)
			tried++
			if _, ok := d.judge(t, q); ok {
				accepted++
			}
		}
		for _, text := range hostile() {
			values := shaped(p, text)
			if !*exhaustive {
				turn++
				try(values[turn%len(values)], contexts()[turn/len(values)%len(contexts())])
				continue
			}
			for _, value := range values {
				for _, context := range contexts() {
					try(value, context)
				}
			}
		}
		t.Logf("%s: %d of %d accepted", p.Name, accepted, tried)
	}
}

// TestRequestsBecomeWhatTheyMean: the same with several parameters at once, and indexes.
func TestRequestsBecomeWhatTheyMean(t *testing.T) {
	for name, raw := range map[string]bool{"raw": true, "not raw": false} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, raw)
			q := queries()
			rapid.Check(t, func(t *rapid.T) {
				d.judge(t, q.Draw(t, "query"))
			})
		})
	}
}

// FuzzRequest: the same with any query.
func FuzzRequest(f *testing.F) {
	for _, q := range seeds(f) {
		f.Add(q)
	}
	raw, strict := newDoor(f, true), newDoor(f, false)
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		raw.judge(t, q)
		strict.judge(t, q)
	})
}

// seeds are the queries of users, and every parameter with plausible and hostile values.
func seeds(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile("../crdt/service/testdata/queries.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	var stored any
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		case string:
			if strings.Contains(v, "serviceName=") {
				list = append(list, v)
			}
		}
	}
	walk(stored)
	for _, p := range service.Parameters() {
		for _, value := range plausible(p) {
			for _, context := range contexts() {
				q := merge(baseQuery(), context, companions(p.Name))
				q.Set(p.Name, value)
				list = append(list, q.Encode())
			}
		}
		for _, text := range []string{`' " \ # $ % {{.}}`, "}", "a\nb"} {
			q := merge(baseQuery(), companions(p.Name))
			q.Set(p.Name, shaped(p, text)[0])
			list = append(list, q.Encode())
		}
	}
	return list
}
