package proxy

import (
	"context"
	"errors"
	"fmt"

	"sluice/crdt/service"
)

// bundleState is what is known of a certificate of the map.
type bundleState struct {
	version string  // judged last; "" if HAProxy had no opinion
	reason  string  // why that version is not used, "" if it is
	good    *Bundle // the usable one seen last
}

// bundles are the certificates of the map that serve: the newest versions, or where these
// are not usable the ones that were. problems has a line for each of the latter. One bad
// certificate would keep every later configuration from loading, so each version is shown
// to HAProxy before it is used, all new ones at once.
func (c *Controller) bundles(ctx context.Context, desired []Bundle) (list []Bundle, problems []string) {
	states := make(map[string]*bundleState, len(desired))
	var fresh []Bundle
	for _, b := range desired {
		s := c.certificates[b.Name]
		if s == nil {
			s = &bundleState{}
		}
		states[b.Name] = s
		if s.version == b.Version {
			continue
		}
		s.version, s.reason = b.Version, b.Problem
		if s.reason == "" && service.CheckName(b.Name) != nil {
			s.reason = "its name cannot be that of a file"
		}
		if s.reason == "" {
			fresh = append(fresh, b)
		}
	}
	c.certificates = states // those of removed ones are forgotten
	c.judge(ctx, fresh)
	for _, b := range desired {
		s := states[b.Name]
		if s.reason == "" {
			s.good = &b
		} else {
			problems = append(problems, s.problem(b.Name))
		}
		if s.good != nil {
			list = append(list, *s.good)
		}
	}
	return list, problems
}

func (s *bundleState) problem(name string) string {
	line := fmt.Sprintf("certificate %.128s is not used: %s", name, s.reason)
	if s.good != nil {
		line += "; the previous one serves on"
	}
	return line
}

// judge notes which of the certificates HAProxy refuses.
func (c *Controller) judge(ctx context.Context, fresh []Bundle) {
	if len(fresh) == 0 || c.showBundles(ctx, fresh) == nil {
		return
	}
	for _, b := range fresh {
		s := c.certificates[b.Name]
		err := c.showBundles(ctx, []Bundle{b})
		var verdict *Verdict
		switch {
		case errors.As(err, &verdict):
			s.reason = "haproxy refuses it: " + oneLine(verdict.Text)
			c.log.Error().Str("certificate", b.Name).Str("version", b.Version).Str("reason", s.reason).Msg("certificate not used")
		case err != nil:
			s.version = "" // asked again next time
		}
	}
}

// showBundles asks HAProxy about certificates alone.
func (c *Controller) showBundles(ctx context.Context, list []Bundle) error {
	return c.showAlone(ctx, View{Bundles: list})
}

// CheckCertificate asks HAProxy about a bundle of certificate, chain and private key alone.
// A *Refusal is the bundle's fault, service.Errors say that none is shown here; any other error
// means that there is no opinion. Safe for concurrent use; a few run at a time.
func (c *Controller) CheckCertificate(ctx context.Context, pem []byte) error {
	if err := c.options.unlisted("body"); err != nil {
		return err
	}
	refuse := func(reason string) error { return &Refusal{Param: "body", Reason: reason} }
	if _, err := ReadCertificate(pem); err != nil {
		return refuse(err.Error())
	}
	select {
	case c.checks <- struct{}{}:
		defer func() { <-c.checks }()
	case <-ctx.Done():
		return fmt.Errorf("check certificate: %w", ctx.Err())
	}
	err := c.showBundles(ctx, []Bundle{{Name: "sent", PEM: pem}})
	var verdict *Verdict
	if errors.As(err, &verdict) {
		return refuse(oneLine(verdict.Text))
	}
	return err
}

// Certificates are those that HAProxy presents now, the self-signed one aside.
func (c *Controller) Certificates() []Certificate { return c.presented.all() }
