package api

import (
	"errors"
	"net/url"
	"slices"

	"sluice/crdt/service"
)

// parse reads Docker Flow Proxy's parameters and reports everything that is wrong with
// them at once: what cannot be read and what is not allowed.
func (s *Server) parse(q url.Values) (service.Request, error) {
	req, err := service.Parse(q, s.cfg.Defaults)
	if req.Remove {
		// A removal has a name only; the filter by instance needs this too.
		req.ProxyInstanceName = q.Get("proxyInstanceName")
	}
	var unread service.Errors
	if err == nil || req.Remove || !errors.As(err, &unread) {
		return req, err
	}
	var invalid service.Errors
	if !errors.As(req.Service.Validate(s.cfg.Limits), &invalid) {
		return req, err
	}
	all := slices.Clone(unread)
	for _, f := range invalid {
		same := func(o service.FieldError) bool { return o.Param == f.Param }
		if !slices.ContainsFunc(all, same) {
			all = append(all, f)
		}
	}
	if len(all) == len(unread) {
		return req, err
	}
	return req, all
}
