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
// can judge. A *Refusal is the definition's fault, service.Errors tell of what another
// service or the operator has settled; any other error means that there is no opinion. Safe for concurrent
// use; a few run at a time.
func (c *Controller) Check(ctx context.Context, s service.Service) error {
	if r := renderable(&s); r != nil {
		return r
	}
	if r := c.place().foreignHosts(&s); r != nil {
		return r
	}
	if err := c.vacant(&s); err != nil {
		return err
	}
	if s.ServiceCert != nil {
		if err := c.options.unlisted("serviceCert"); err != nil {
			return err
		}
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
	return &Refusal{Service: s.Name, Param: blame(&s, verdict.Text), Reason: "HAProxy refuses it: " + oneLine(verdict.Text)}
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
		if d.PathType != "" || len(d.ReqPathSearchReplace) > 0 || d.ReqMode == service.SNI || d.BalanceGroup != "" || crowded(d) {
			return true
		}
	}
	return false
}

// crowded reports whether the rule for d might have more words than HAProxy reads of a line:
// each header takes seven, and up to inlinePatterns of every list stand beside them.
func crowded(d *service.Destination) bool {
	const room = 20
	words := 7 * len(d.ServiceHeader)
	for _, list := range [][]string{d.ServicePath, d.ServicePathExclude, d.ServiceDomain, d.UserAgent} {
		words += min(len(list), inlinePatterns)
	}
	return len(d.ServiceHeader) > 0 && words > room
}

// blame names the first parameter, in the order of Docker Flow Proxy's documentation, that
// has a value which HAProxy quotes in its alert.
func blame(s *service.Service, alert string) string {
	for _, c := range culpable(s) {
		for _, value := range c.values {
			if len(value) > 1 && strings.Contains(alert, value) {
				return c.param
			}
		}
	}
	return ""
}

// worded is a parameter with the texts of it that HAProxy gets to read.
type worded struct {
	param  string
	values []string
}

func culpable(s *service.Service) []worded {
	list := []worded{
		{"backendExtra", strings.FieldsFunc(s.BackendExtra, func(r rune) bool { return r == '\n' || r == ' ' })},
		{"compressionAlgo", []string{s.CompressionAlgo}},
		{"compressionType", strings.Fields(s.CompressionType)},
		{"serviceDomainAlgo", []string{s.ServiceDomainAlgo}},
		headerTexts("addReqHeader", s.AddReqHeader), headerTexts("setReqHeader", s.SetReqHeader),
		headerTexts("addResHeader", s.AddResHeader), headerTexts("setResHeader", s.SetResHeader),
	}
	for i := range s.Destinations {
		list = append(list, destinationTexts(&s.Destinations[i])...)
	}
	return list
}

func headerTexts(param string, headers []service.Header) worded {
	w := worded{param: param}
	for _, h := range headers {
		w.values = append(w.values, h.Value, strings.TrimPrefix(strings.TrimPrefix(h.Condition, "if "), "unless "))
		for _, part := range h.Parts() {
			if part.Fetch {
				w.values = append(w.values, part.Text)
			}
		}
	}
	return w
}

func destinationTexts(d *service.Destination) []worded {
	suffix := ""
	if d.Index > 0 {
		suffix = fmt.Sprintf(".%d", d.Index)
	}
	rewrites := worded{param: "reqPathSearchReplace" + suffix}
	for _, r := range d.ReqPathSearchReplace {
		rewrites.values = append(rewrites.values, r.Search)
	}
	matches := worded{param: "serviceHeader" + suffix}
	for _, h := range d.ServiceHeader {
		matches.values = append(matches.values, headerFetch(h.Name), h.Value)
	}
	return []worded{
		rewrites,
		{"servicePath" + suffix, d.ServicePath},
		{"servicePathExclude" + suffix, d.ServicePathExclude},
		{"serviceDomain" + suffix, d.ServiceDomain},
		{"balanceGroup" + suffix, []string{d.BalanceGroup}},
		matches,
	}
}
