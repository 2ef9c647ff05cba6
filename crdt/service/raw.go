package service

import (
	"slices"
	"strings"
)

// extra judges backendExtra: raw lines, but of the backend they are given for.
func (v *validator) extra(text string) {
	if text == "" {
		return
	}
	if !v.limits.AllowRaw {
		v.add("backendExtra", text, fault{"is not accepted", "start the proxy with --allow-raw-config"})
		return
	}
	if len(text) > MaxText {
		v.add("backendExtra", text, fault{"is longer than 8192 bytes", "shorten it"})
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		v.text("backendExtra", strings.ReplaceAll(line, "\t", " "), rawRule)
	}
}

// rawRule refuses lines that would end the backend and begin something else. HAProxy looks
// at the first word without its quotes and escapes, which no directive needs.
func rawRule(line string) fault {
	words := strings.Fields(line)
	if len(words) == 0 {
		return fault{}
	}
	first := words[0]
	if slices.Contains(sections(), first) || strings.HasPrefix(first, ".") || strings.ContainsAny(first, `"'\`) || strings.HasSuffix(line, `\`) {
		return fault{"leaves the backend", "write directives of a backend only, each on its own line"}
	}
	return fault{}
}

// sections are the words that begin a section of HAProxy's configuration.
func sections() []string {
	return []string{"global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "mailers",
		"resolvers", "cache", "program", "http-errors", "ring", "log-forward", "log-profile", "fcgi-app",
		"crt-store", "traces", "acme", "namespace_list"}
}

// templates judges the custom templates, which come in pairs.
func (v *validator) templates(s *Service) {
	for _, t := range []struct{ param, text, other string }{
		{"templateFePath", s.TemplateFePath, s.TemplateBePath},
		{"templateBePath", s.TemplateBePath, s.TemplateFePath},
	} {
		switch {
		case t.text == "":
		case !v.limits.TemplatesDir:
			v.add(t.param, t.text, fault{"is not accepted", "start the proxy with --templates-dir"})
		case t.other == "":
			v.add(t.param, t.text, fault{"comes alone", "give templateFePath and templateBePath"})
		}
	}
}
