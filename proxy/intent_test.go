package proxy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
	"sluice/proxy"
)

// localUser is in every secret and in the proxy's own list.
const localUser = "op"

// hostileView answers every question in the same way, so that names decide nothing.
func hostileView(resolves bool) proxy.View {
	return proxy.View{
		Addresses: func(string) []netip.Addr {
			if !resolves {
				return nil
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.0.8")}
		},
		Secret: func(string) (string, bool) { return localUser + ":secret\n", true },
		Template: func(name string) (string, error) {
			return "acl template_{{.AclName}} path /x\n\nbackend {{.AclName}}-custom\n    server s 127.0.0.1:1\n", nil
		},
	}
}

func hostileOptions() proxy.Options {
	o := testOptions("/cfg")
	o.Users = []service.User{{Name: localUser, Salt: "00ff00ff00ff00ff", Digest: "00ff00ff00ff00ff"}, {Name: "crypt", Crypt: "$5$saltsalt$5B8vYYiY"}}
	o.OpenBox = func(string) ([]byte, error) { return nil, fmt.Errorf("no certificates here") }
	return o
}

// checkIntent renders the definition and a benign one of the same shape: the files must have
// the same sections, lines and words, and where the benign ones have a placeholder, exactly
// the value that it stands for.
func checkIntent(s service.Service, resolves bool) error {
	if err := plainHosts(s); err != nil {
		return err
	}
	o := hostileOptions()
	p := newPlaceholders()
	want := proxy.Build(&o, []service.Service{p.benign(s)}, hostileView(resolves))
	got := proxy.Build(&o, []service.Service{s}, hostileView(resolves))
	if refused := got.Refusals(); len(refused) > 0 {
		if refused[0].Param == "srcPort" && len(want.Refusals()) > 0 {
			return nil // a port of the proxy itself, which only rendering knows
		}
		return fmt.Errorf("the door accepts what rendering refuses: %v", refused[0])
	}
	if refused := want.Refusals(); len(refused) > 0 {
		return fmt.Errorf("the benign definition is refused: %v", refused[0])
	}
	w, g := filesOf(want), filesOf(got)
	for name, text := range w {
		name = p.restore(name)
		other, ok := g[name]
		if !ok {
			return fmt.Errorf("there is no file %q", name)
		}
		delete(g, name)
		if err := sameFile(p, name, text, other); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name := range g {
		return fmt.Errorf("there is a file %q", name)
	}
	return p.complete(w)
}

// complete looks for every value that must have an effect.
func (p *placeholders) complete(files map[string]string) error {
	for _, name := range p.required {
		found := false
		for _, text := range files {
			found = found || strings.Contains(text, name)
		}
		if !found {
			return fmt.Errorf("the value %q is lost", p.literal[name])
		}
	}
	return nil
}

func filesOf(m *proxy.Model) map[string]string {
	files := map[string]string{}
	for _, f := range m.Files(1) {
		files[f.Name] = string(f.Data)
	}
	return files
}

func sameFile(p *placeholders, name, want, got string) error {
	switch {
	case name == proxy.ConfigFile:
		return sameConfig(p, want, got)
	case strings.HasSuffix(name, ".map"):
		return sameMap(p, want, got)
	}
	if p.restore(want) != got {
		return fmt.Errorf("it differs")
	}
	return nil
}

// sameMap compares keys and values; their order depends on the keys.
func sameMap(p *placeholders, want, got string) error {
	w, err := parseMap(want)
	if err != nil {
		return err
	}
	g, err := parseMap(got)
	if err != nil {
		return err
	}
	for i := range w {
		w[i] = [2]string{p.restore(w[i][0]), p.restore(w[i][1])}
	}
	order := func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(w, order)
	slices.SortFunc(g, order)
	if diff := cmp.Diff(w, g); diff != "" {
		return fmt.Errorf("lines differ (-want +got)\n%s", diff)
	}
	for i := range g {
		if i > 0 && g[i][0] == g[i-1][0] {
			return fmt.Errorf("two lines with the key %q", g[i][0])
		}
	}
	return nil
}

func sameConfig(p *placeholders, want, got string) error {
	// What is the same up to the first frontend need not be read again and again.
	if i := strings.Index(want, "\nfrontend services\n"); i > 0 && strings.HasPrefix(got, want[:i]) {
		want, got = want[i:], got[i:]
	}
	w, err := parseConfig(want)
	if err != nil {
		return fmt.Errorf("benign: %w", err)
	}
	g, err := parseConfig(got)
	if err != nil {
		return err
	}
	if len(w) != len(g) {
		return fmt.Errorf("%d sections, want %d", len(g), len(w))
	}
	for i := range w {
		if err := sameWords(p, w[i].words, g[i].words); err != nil {
			return err
		}
		if len(w[i].lines) != len(g[i].lines) {
			return fmt.Errorf("section %q has %d lines, want %d", g[i].words, len(g[i].lines), len(w[i].lines))
		}
		for j := range w[i].lines {
			if err := sameLine(p, w[i].lines[j], g[i].lines[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameLine compares the words, then what HAProxy reads within them.
func sameLine(p *placeholders, want, got []string) error {
	last := want[len(want)-1]
	if p.lines[last] { // raw text: a condition, or a line of its own
		words, err := splitLine(p.literal[last])
		if err != nil {
			return fmt.Errorf("raw text: %w", err)
		}
		n := len(want) - 1
		if n > len(got) || !slices.Equal(words, got[n:]) {
			return fmt.Errorf("the line %q does not end in the words %q", got, words)
		}
		if n == 0 {
			return nil
		}
		want, got = want[:n], got[:n]
	}
	if err := sameWords(p, want, got); err != nil {
		return err
	}
	if len(want) > 1 && strings.HasSuffix(want[1], "-header") && !strings.HasPrefix(want[1], "del-") {
		return nil // its format has been compared
	}
	return sameMeaning(p, want, got)
}

func sameWords(p *placeholders, want, got []string) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d words %q, want the %d of %q", len(got), got, len(want), want)
	}
	format := len(want) > 3 && (want[1] == "add-header" || want[1] == "set-header")
	for i := range want {
		if format && i == 3 {
			if err := sameFormat(p, want[i], got[i]); err != nil {
				return fmt.Errorf("line %q: %w", got, err)
			}
			continue
		}
		if expected := p.restore(want[i]); expected != got[i] && !sameExpression(p, want[i], got[i]) {
			return fmt.Errorf("line %q has the word %q, want %q", got, got[i], expected)
		}
	}
	return nil
}

// sameFormat compares log formats: text is text, expressions stay.
func sameFormat(p *placeholders, want, got string) error {
	w, err := parseFormat(want)
	if err != nil {
		return fmt.Errorf("benign: %w", err)
	}
	g, err := parseFormat(got)
	if err != nil {
		return err
	}
	for i := range w {
		w[i].text = p.restore(w[i].text)
	}
	if !slices.Equal(w, g) {
		return fmt.Errorf("the format is %+v, want %+v", g, w)
	}
	return nil
}

// sameExpression compares arguments, which may need quotes of their own.
func sameExpression(p *placeholders, want, got string) bool {
	w, err := parseExpression(want)
	if err != nil {
		return false
	}
	g, err := parseExpression(got)
	if err != nil {
		return false
	}
	for i := range w {
		for j := range w[i].args {
			w[i].args[j] = p.restore(w[i].args[j])
		}
	}
	return slices.EqualFunc(w, g, func(a, b call) bool { return a.name == b.name && slices.Equal(a.args, b.args) })
}

// sameMeaning compares expressions and conditions: words that are equal may still be read
// in another way.
func sameMeaning(p *placeholders, want, got []string) error {
	at := slices.IndexFunc(want, func(w string) bool { return w == "if" || w == "unless" })
	if at < 0 {
		at = len(want)
	}
	if len(want) > 2 && strings.HasPrefix(want[1], "set-var(") && !sameExpression(p, want[2], got[2]) {
		return fmt.Errorf("expression %q, want that of %q", got[2], want[2])
	}
	if want[0] == "acl" && !sameExpression(p, want[2], got[2]) {
		return fmt.Errorf("criterion %q, want that of %q", got[2], want[2])
	}
	if at >= len(want)-1 {
		return nil
	}
	w, err := parseCondition(want[at+1:])
	if err != nil {
		return fmt.Errorf("benign: %w", err)
	}
	g, err := parseCondition(got[at+1:])
	if err != nil {
		return fmt.Errorf("line %q: %w", got, err)
	}
	same := slices.EqualFunc(w, g, func(a, b term) bool {
		return a.not == b.not && a.or == b.or && len(a.words) == len(b.words) && p.restore(a.name) == b.name &&
			(len(a.words) == 0 || sameExpression(p, a.words[0], b.words[0]))
	})
	if !same {
		return fmt.Errorf("line %q has the condition %+v, want %+v", got, g, w)
	}
	return nil
}
