package proxy

import "strings"

func (c class) String() string { return [classes]string{"wellKnown", "other", "root"}[c] }

// matches reports whether the request is one of the rule's.
func (rt *route) matches(r *Request) bool {
	if rt.srcPort != 0 && rt.srcPort != r.Port || !strings.HasPrefix(r.Path, rt.path) || rt.exact && r.Path != rt.path {
		return false
	}
	return matchesHost(rt.host, r)
}

// matchesHost compares a host with a pattern: none, a whole name, "*.ending" for what is
// below a domain, "*ending" for every name that ends so.
func matchesHost(pattern string, r *Request) bool {
	host, ok := r.host()
	ending, wild := strings.CutPrefix(pattern, "*")
	switch {
	case pattern == "" || pattern == "*":
		return true
	case !ok:
		return false
	case !wild:
		return host == pattern
	}
	return strings.HasSuffix(host, ending) && (ending[0] != '.' || len(host) > len(ending))
}

func (rt *route) contender(e *entry) contender {
	c := contender{Rule: e.rule(KindPrefix), class: rt.class, kind: kindOf(rt.host), place: rt.place}
	if rt.exact {
		c.Kind = KindExact
	}
	c.Class, c.Host, c.Path = rt.class.String(), rt.host, rt.path
	return c
}

// contender is the special for this request, false if the request does not meet it.
func (s *special) contender(e *entry, r *Request) (contender, bool) {
	if s.srcPort != 0 && s.srcPort != r.Port {
		return contender{}, false
	}
	c := contender{Rule: e.rule(KindSpecial), class: s.class, place: s.place}
	c.Class = s.class.String()
	all := holds
	for _, group := range s.groups {
		f := judgeGroup(group, r)
		all = min(all, f.truth)
		c.note(f)
		c.Conditions = append(c.Conditions, describe(group))
	}
	if len(s.not) > 0 {
		f := judgeGroup(s.not, r)
		all = min(all, f.truth.not())
		c.note(finding{doubt: f.doubt})
		c.Conditions = append(c.Conditions, "not "+describe(s.not))
	}
	if all == holds {
		c.Doubt = ""
	}
	return c, all != fails
}

// note keeps what was found of one group: its pattern, and the first doubt.
func (c *contender) note(f finding) {
	switch {
	case f.pattern == "":
	case f.aspect == pathAspect:
		c.Path = f.pattern
	case f.aspect == hostAspect:
		c.Host = f.pattern
	}
	if c.Doubt == "" {
		c.Doubt = f.doubt
	}
}

// describe writes a group in HAProxy's words.
func describe(group []condition) string {
	var words []string
	for _, c := range group {
		words = append(words, c.criterion+" "+quoteAll(c.patterns))
	}
	return strings.Join(words, " or ")
}

// judgeGroup judges conditions of which one must hold.
func judgeGroup(group []condition, r *Request) finding {
	best := finding{truth: fails}
	for _, c := range group {
		if f := c.judge(r); f.truth > best.truth {
			best = f
		}
	}
	return best
}
