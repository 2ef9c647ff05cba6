package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

// variables holds the environment by name.
type variables map[string]string

// readVariables reads what os.Environ returns.
func readVariables(environ []string) variables {
	v := variables{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		v[name] = value
	}
	return v
}

// or is the variable's value, def if it is empty or absent.
func (v variables) or(name, def string) string {
	if value := v[name]; value != "" {
		return value
	}
	return def
}

// fillFlags sets every flag that was not given from its SLUICE_ variable. An empty one
// counts as absent: that is what a stack file makes of a value that nobody set.
func (v variables) fillFlags(fs *pflag.FlagSet) error {
	var errs []error
	fs.VisitAll(func(f *pflag.Flag) {
		name := flagVariable(f.Name)
		value := v[name]
		if value == "" || f.Changed {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("--%s (%s) %.60q: %w", f.Name, name, value, err))
		}
	})
	return errors.Join(errs...)
}

// makeAbsolute makes the paths in flags independent of the working directory; empty ones stay.
func makeAbsolute(fs *pflag.FlagSet, names ...string) error {
	var errs []error
	for _, name := range names {
		f := fs.Lookup(name)
		if f.Value.String() == "" {
			continue
		}
		path, err := filepath.Abs(f.Value.String())
		if err == nil {
			err = f.Value.Set(path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s (%s): %w", name, flagVariable(name), err))
		}
	}
	return errors.Join(errs...)
}

// flagVariable is the variable of a flag: --nats-url has SLUICE_NATS_URL.
func flagVariable(flag string) string {
	return "SLUICE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
