package service

import "strings"

// split cuts text at the separator, unless there are so many that no legal list is left
// even without the empty ones: a thousand destinations may inherit it.
func (r *reader) split(param, text string) []string {
	if strings.Count(text, r.defaults.Separator) > 2*MaxList {
		r.add(param, text, fault{"has too many elements", "use at most 200"})
		return nil
	}
	return strings.Split(text, r.defaults.Separator)
}

// elements trims blanks and drops what is empty, since Docker Flow Proxy pasted lists
// into lines of blank-separated words. Other white space stays, to be refused instead
// of repaired.
func elements(parts []string) []string {
	var kept []string
	for _, part := range parts {
		if part = strings.Trim(part, " "); part != "" {
			kept = append(kept, part)
		}
	}
	return kept
}

// elements of a list that was given: there has to be one, since a list of separators only
// would silently lift the restriction that somebody asked for.
func (r *reader) elements(param, text string, parts []string) []string {
	kept := elements(parts)
	if len(kept) == 0 && len(parts) > 0 {
		r.add(param, text, fault{"has no element", "give one, or leave the parameter out"})
	}
	return kept
}

// whole joins again what was split within %[…]: converters follow a comma there.
func whole(parts []string, separator string) []string {
	var all []string
	from, open := 0, false
	for i, part := range parts {
		if end := strings.LastIndex(part, "]"); end >= 0 {
			open = false
			part = part[end:]
		}
		open = open || strings.Contains(part, "%[")
		if !open || i == len(parts)-1 {
			all = append(all, strings.Join(parts[from:i+1], separator))
			from = i + 1
		}
	}
	return all
}

// matches reads "Name:value"; the value may hold further colons.
func (r *reader) matches(param string, parts []string) []Match {
	var all []Match
	for _, part := range parts {
		name, value, ok := strings.Cut(part, ":")
		if !ok {
			// Dropping it would open the route to requests without the header.
			r.add(param, part, fault{"has an element without colon", "write Name:value"})
			continue
		}
		all = append(all, Match{Name: strings.Trim(name, " "), Value: strings.Trim(value, " ")})
	}
	return all
}

// secrets reads users and serviceCert into s.Clear.
func (r *reader) secrets(s *Service) {
	if text := r.scalar("users"); len(text) > MaxEncoded {
		r.add("users", "", fault{"is longer than 65536 bytes", "shorten it"})
	} else if text != "" {
		r.users(s, text)
	}
	s.Clear.Cert = r.scalar("serviceCert")
}

// users reads "name:password" elements, separated by commas or line breaks.
func (r *reader) users(s *Service, text string) {
	split := func(c rune) bool { return c == ',' || c == '\n' }
	for _, part := range strings.FieldsFunc(text, split) {
		if part = strings.Trim(part, " \t\r"); part == "" {
			continue
		}
		name, password, given := strings.Cut(part, ":")
		name, password = strings.Trim(name, " \t"), strings.Trim(password, " \t")
		if given && password == "" {
			r.add("users", "", fault{"has a user without password after the colon",
				"write name:password, or the name alone to look the password up in usersSecret"})
			continue
		}
		r.problems.addUser(s, name, password)
	}
	if len(s.Users) == 0 && r.err() == nil {
		// An empty list would let everybody in although somebody asked for users.
		r.add("users", "", fault{"names nobody", "write name:password, or leave it out"})
	}
}

// addUser adds one user; an empty password means that it is looked up elsewhere.
func (p *problems) addUser(s *Service, name, password string) {
	for _, u := range s.Users {
		if u.Name == name {
			p.add("users", "", fault{"names a user twice", "give each user once"})
			return
		}
	}
	u := User{Name: name}
	switch {
	case password == "":
	case s.UsersPassEncrypted:
		u.Crypt = password
	default:
		if s.Clear.Passwords == nil {
			s.Clear.Passwords = map[string]string{}
		}
		s.Clear.Passwords[name] = password
	}
	s.Users = append(s.Users, u)
}
