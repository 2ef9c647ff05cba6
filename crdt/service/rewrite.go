package service

import "strings"

// rewrites reads "search,replace[,flags]" items joined by ":". Inside the search
// expression a colon or comma that is escaped or stands within brackets of any kind is
// part of it, so that (?:…) and {1,3} work.
func (r *reader) rewrites(param, text string) []Rewrite {
	var all []Rewrite
	for text != "" {
		end, comma := endOfSearch(text)
		if !comma {
			r.add(param, text, fault{"has a search expression without replacement", "write search,replace[,flags]"})
			return all
		}
		one := Rewrite{Search: text[:end]}
		one.Replace, one.Flags, text = cutReplace(text[end+1:])
		all = append(all, one)
	}
	return all
}

// endOfSearch finds the comma that ends the search expression at the start of text. A
// colon or the end in its place means that there is no replacement.
func endOfSearch(text string) (end int, comma bool) {
	depth, class := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(', c == '{' && strings.Contains(text[i:], "}"):
			depth++
		case (c == ')' || c == '}') && depth > 0:
			depth--
		case depth == 0 && c == ',':
			return i, true
		case depth == 0 && c == ':':
			return i, false
		}
	}
	return len(text), false
}

// cutReplace splits "replace[,flags][:rest]".
func cutReplace(text string) (replace, flags, rest string) {
	text, rest, _ = strings.Cut(text, ":")
	replace, flags, _ = strings.Cut(text, ",")
	return replace, strings.Trim(flags, " "), rest
}

// normalFlags orders flags and drops repeats; unknown ones stay, to be refused.
func normalFlags(flags string) string {
	known := ""
	for _, c := range []string{"g", "i"} {
		if strings.Contains(flags, c) {
			known += c
		}
	}
	if strings.Trim(flags, "gi") != "" {
		return flags
	}
	return known
}

func (p *problems) rewriteList(param string, all []Rewrite) {
	p.length(param, len(all))
	for _, one := range all {
		if one.Search == "" {
			p.add(param, "", fault{"has an empty search expression", "write search,replace[,flags]"})
			continue
		}
		p.text(param, one.Search, regexRule)
		p.text(param, one.Replace, nil)
		if strings.Trim(one.Flags, "gi") != "" {
			p.add(param, one.Flags, fault{"has an unknown flag", "use g (every match) or i (ignore case)"})
		}
	}
}
