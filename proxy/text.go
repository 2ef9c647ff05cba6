package proxy

import "strings"

// text collects configuration lines. Words come in quoted where they need it.
type text struct{ strings.Builder }

// section starts a new section.
func (t *text) section(words ...string) {
	t.WriteByte('\n')
	t.WriteString(strings.Join(words, " "))
	t.WriteByte('\n')
}

// line writes one directive of the current section; empty words are left out.
func (t *text) line(words ...string) {
	t.WriteString("   ")
	for _, w := range words {
		if w != "" {
			t.WriteByte(' ')
			t.WriteString(w)
		}
	}
	t.WriteByte('\n')
}

func quoteAll(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return strings.Join(quoted, " ")
}
