package main

import (
	"errors"
	"fmt"
	"regexp"

	"sluice/cmd/internal/node"
)

// variableName is what STATS_USER_ENV and its like may name; it becomes a file name too.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// applyStats reads the statistics page's settings. Each variable may stand under another
// name, which <variable>_ENV tells.
func applyStats(c *node.Config, env variables) error {
	s := &c.Proxy.Stats
	var errs []error
	for _, v := range []struct {
		name string
		set  func(c *node.Config, value string) error
	}{
		{"STATS_USER", text(func(c *node.Config) *string { return &c.Proxy.Stats.User })},
		{"STATS_PASS", text(func(c *node.Config) *string { return &c.Proxy.Stats.Password })},
		{"STATS_URI", text(func(c *node.Config) *string { return &c.Proxy.Stats.URI })},
		{"STATS_PORT", number(func(c *node.Config) *int { return &c.Proxy.Stats.Port })},
	} {
		name := env.or(v.name+"_ENV", v.name)
		if !variableName.MatchString(name) {
			errs = append(errs, fmt.Errorf("%s_ENV: %.40q is not the name of a variable", v.name, name))
			continue
		}
		value, err := dfpValue(c, env, name)
		if err == nil && value != "" {
			err = v.set(c, value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	if (s.User == "") != (s.Password == "") {
		c.Warnings = append(c.Warnings, "the statistics page is not served: give both STATS_USER and STATS_PASS")
	}
	return errors.Join(errs...)
}
