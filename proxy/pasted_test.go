package proxy_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/proxy"
)

// TestHeadersThatWerePastedIntoTheConfiguration: Docker Flow Proxy wrote a header as it came.
// What was a valid line then has the same words now.
func TestHeadersThatWerePastedIntoTheConfiguration(t *testing.T) {
	lines := []string{`"max-age=16000000; includeSubDomains; preload;"`, `a\ b`, `\"a\"`, `'a "b"'`, "%ci", `"%{+Q}r a"`, "100%%", `"a if b" if { ssl_fc }`, `default-src\ \'self\'`}
	random := rand.New(rand.NewPCG(3, 4))
	for len(lines) < 3000 {
		var b strings.Builder
		for range 1 + random.IntN(7) {
			b.WriteString([]string{"a", "b", " ", "'", `"`, `\`, `\ `, `\"`, `\'`, "'x y'", `"x y"`, "%%", "%ci", "%b", "%{+Q}", "%[src]", " if { ssl_fc }", ";", "é"}[random.IntN(19)])
		}
		lines = append(lines, b.String())
	}
	d := newDoor(t, false)
	compared := 0
	for _, line := range lines {
		line = strings.Trim(line, " ") // as every element of a list
		words, err := splitLine("X-A " + line)
		if err != nil || len(words) < 2 || words[1] == "" || len(words) > 2 && strings.Join(words[2:], " ") != "if { ssl_fc }" {
			continue // HAProxy refuses it
		}
		want, err := parseFormat(words[1])
		if err != nil {
			continue
		}
		q := baseQuery()
		q.Set("setResHeader", "X-A "+line)
		s, ok, err := d.take(q)
		if err != nil || !ok {
			if len(words) == 2 && strings.Trim(words[1], " ") != "" {
				t.Errorf("%s is refused: %v", line, err)
			}
			continue
		}
		compared++
		if s.SetResHeader[0].Condition == "" && len(words) > 2 {
			t.Errorf("%s has lost its condition", line)
		}
		if diff := cmp.Diff(trimmed(want), writtenHeader(t, s), cmp.AllowUnexported(piece{})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", line, diff)
		}
	}
	if compared < 300 {
		t.Errorf("only %d lines were compared", compared)
	}
}

// trimmed drops the blanks around a value, which no header has.
func trimmed(pieces []piece) []piece {
	last := len(pieces) - 1
	if !pieces[0].code {
		pieces[0].text = strings.TrimLeft(pieces[0].text, " ")
	}
	if !pieces[last].code {
		pieces[last].text = strings.TrimRight(pieces[last].text, " ")
	}
	return slices.DeleteFunc(pieces, func(p piece) bool { return p.text == "" })
}

// writtenHeader is the format of the response's header in the configuration for s.
func writtenHeader(t *testing.T, s service.Service) []piece {
	t.Helper()
	o := hostileOptions()
	blocks, err := parseConfig(filesOf(proxy.Build(&o, []service.Service{s}, hostileView(true)))[proxy.ConfigFile])
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		for _, words := range b.lines {
			if len(words) > 3 && words[0] == "http-response" && words[1] == "set-header" && words[2] == "X-A" {
				pieces, err := parseFormat(words[3])
				if err != nil {
					t.Fatal(err)
				}
				return pieces
			}
		}
	}
	t.Fatal("the header is not written")
	return nil
}
