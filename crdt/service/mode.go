package service

import (
	"reflect"
	"slices"
)

// protections are the parameters of a destination that keep requests out, in HTTP mode only:
// in tcp and sni mode there is no request to look at.
func protections() []field {
	names := []string{"allowedMethods", "deniedMethods", "denyHttp", "serviceHeader", "userAgent", "verifyClientSsl"}
	return slices.DeleteFunc(slices.Clone(destinationFields()), func(f field) bool { return !slices.Contains(names, f.Name) })
}

// requests reports whether d has requests to look at; a mode that does not exist is refused elsewhere.
func (d *Destination) requests() bool { return d.ReqMode != TCP && d.ReqMode != SNI }

// unprotected refuses what was asked for to keep somebody out and would let everybody in.
func (v *validator) unprotected(s *Service) {
	open := ""
	for i := range s.Destinations {
		d := &s.Destinations[i]
		if d.requests() {
			return // the users are asked for there
		}
		if !d.IgnoreAuthorization {
			open = string(d.ReqMode)
		}
	}
	for param, given := range map[string]bool{"users": len(s.Users) > 0, "usersSecret": s.UsersSecret != ""} {
		if given && open != "" && s.TemplateBePath == "" {
			v.add(param, "", ineffective(open))
		}
	}
}

// protects refuses the same of one destination.
func (v *validator) protects(s *Service, d *Destination, suffix string) {
	if d.requests() || s.TemplateBePath != "" {
		return
	}
	for _, f := range protections() {
		if !reflect.ValueOf(f.dest(d)).Elem().IsZero() {
			v.add(f.Name+suffix, "", ineffective(string(d.ReqMode)))
		}
	}
}

func ineffective(mode string) fault {
	return fault{"has no effect in reqMode " + mode + ", so the port would be open to all", "leave it out, or use reqMode=http"}
}

// inherit leaves protections of all requests, given without index, to the destinations that
// have requests, if there are any.
func (r *reader) inherit(all []Destination) {
	for i := range all { // not normalised yet
		all[i].ReqMode = normalMode(all[i].ReqMode)
	}
	if !slices.ContainsFunc(all, func(d Destination) bool { return d.requests() }) {
		return
	}
	for i := range all {
		d := &all[i]
		for _, f := range protections() {
			if !d.requests() && r.values.Get(f.Name+suffixOf(d.Index)) == "" {
				reflect.ValueOf(f.dest(d)).Elem().SetZero()
			}
		}
	}
}
