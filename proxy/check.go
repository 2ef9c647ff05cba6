package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/crdt/service"
)

// Refused is the parameter to blame, empty where it cannot be told, and the reason.
func (r *Refusal) Refused() (param, reason string) { return r.Param, r.Reason }

// Check asks HAProxy about one definition alone, if that holds anything that only HAProxy
// can judge. A *Refusal is the definition's fault; any other error means that there is no
// opinion. Safe for concurrent use; a few run at a time.
func (c *Controller) Check(ctx context.Context, s service.Service) error {
	if r := renderable(&s); r != nil {
		return r
	}
	if !judged(&s) {
		return nil
	}
	select {
	case c.checks <- struct{}{}:
		defer func() { <-c.checks }()
	case <-ctx.Done():
		return fmt.Errorf("check service %s: %w", s.Name, ctx.Err())
	}
	// Addresses do not matter to the opinion, and waiting for them would.
	view := c.view()
	view.Addresses = nil
	m := Build(c.options, []service.Service{s}, view)
	if refusals := m.Refusals(); len(refusals) > 0 {
		return refusals[0]
	}
	err := c.stage(ctx, m)
	var verdict *Verdict
	if !errors.As(err, &verdict) {
		return err
	}
	return &Refusal{Service: s.Name, Param: blame(&s, verdict.Text), Reason: oneLine(verdict.Text)}
}

// judged reports whether a definition holds text with a syntax of its own.
func judged(s *service.Service) bool {
	if s.BackendExtra+s.TemplateFePath+s.TemplateBePath+s.ServiceDomainAlgo+s.CompressionAlgo != "" || s.ServiceCert != nil {
		return true
	}
	for _, list := range [][]service.Header{s.AddReqHeader, s.SetReqHeader, s.AddResHeader, s.SetResHeader} {
		for _, h := range list {
			if h.Condition != "" || strings.Contains(h.Value, "%") {
				return true
			}
		}
	}
	for _, u := range s.Users {
		if u.Crypt != "" {
			return true
		}
	}
	for i := range s.Destinations {
		d := &s.Destinations[i]
		if d.PathType != "" || len(d.ReqPathSearchReplace) > 0 || d.ReqMode == service.SNI || d.BalanceGroup != "" {
			return true
		}
	}
	return false
}

// blame names the parameter whose value HAProxy quotes in its alert.
func blame(s *service.Service, alert string) string {
	quoted := func(value string) bool { return len(value) > 1 && strings.Contains(alert, value) }
	for i := range s.Destinations {
		d := &s.Destinations[i]
		suffix := ""
		if d.Index > 0 {
			suffix = fmt.Sprintf(".%d", d.Index)
		}
		for _, r := range d.ReqPathSearchReplace {
			if quoted(r.Search) {
				return "reqPathSearchReplace" + suffix
			}
		}
		for param, list := range map[string][]string{
			"servicePath": d.ServicePath, "servicePathExclude": d.ServicePathExclude, "serviceDomain": d.ServiceDomain,
		} {
			for _, value := range list {
				if quoted(value) {
					return param + suffix
				}
			}
		}
	}
	return blameHeaders(s, quoted)
}

func blameHeaders(s *service.Service, quoted func(string) bool) string {
	for param, list := range map[string][]service.Header{
		"addReqHeader": s.AddReqHeader, "setReqHeader": s.SetReqHeader,
		"addResHeader": s.AddResHeader, "setResHeader": s.SetResHeader,
	} {
		for _, h := range list {
			if quoted(h.Value) || quoted(h.Condition) {
				return param
			}
		}
	}
	return ""
}
