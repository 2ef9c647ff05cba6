package proxy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"sluice/crdt/service"
)

// SettingsCheck asks HAProxy about the settings alone, before anything starts.
type SettingsCheck struct {
	Options Options
	Checker Checker
	// Dir takes the configurations that HAProxy is asked about.
	Dir string
	// Certificate is the path of any certificate with its key.
	Certificate string
}

// Run reports the settings that HAProxy refuses, each by its name, in HAProxy's words and
// with a remedy; not those that Validate reports. HAProxy is asked once if all is well.
func (c SettingsCheck) Run(ctx context.Context) error {
	o := c.Options
	valid := o.Validate() == nil
	if valid {
		err := c.ask(ctx, o)
		var verdict *Verdict
		if !errors.As(err, &verdict) {
			return err
		}
	}
	culprits, err := c.culprits(ctx)
	if err != nil || len(culprits) > 0 || !valid {
		return errors.Join(append(culprits, err)...)
	}
	return c.ask(ctx, o) // together only
}

// culprits adds one setting after the other to the defaults. One that is refused stays out.
func (c SettingsCheck) culprits(ctx context.Context) ([]error, error) {
	good := DefaultOptions()
	good.User, good.Group = c.Options.User, c.Options.Group
	if err := c.ask(ctx, good); err != nil {
		return nil, fmt.Errorf("the settings' defaults: %w; install another HAProxy or name one with --haproxy (SLUICE_HAPROXY)", err)
	}
	var culprits []error
	for _, s := range settings() {
		next := good
		s.take(&next, &c.Options)
		if s.check(&c.Options) != nil || reflect.DeepEqual(s.text(&next), s.text(&good)) {
			continue
		}
		err := c.ask(ctx, next)
		var verdict *Verdict
		switch {
		case err == nil:
			good = next
		case errors.As(err, &verdict):
			culprits = append(culprits, s.blame("HAProxy refuses it: "+inWords(verdict)))
		default:
			return nil, err
		}
	}
	return culprits, nil
}

// location is where HAProxy has read something, in a file that is gone.
var location = regexp.MustCompile(`(?:[Pp]arsing| at) \[haproxy\.cfg:\d+\](?:\s*:\s*)?`)

func inWords(v *Verdict) string {
	return strings.TrimSuffix(oneLine(location.ReplaceAllString(v.Text, "")), ".")
}

// ask asks about options without any service, certificate or error page: one of those that is
// bad is left out later, with a note.
func (c SettingsCheck) ask(ctx context.Context, o Options) error {
	o.CfgDir, o.RunDir = c.Dir, "/run" // nothing is made there
	o.Users, o.AuthKey = nil, base64.StdEncoding.EncodeToString(make([]byte, 32))
	view := View{Fallback: c.Certificate}
	return staged(ctx, c.Checker, c.Dir, Build(&o, probes(&o), view))
}

// probes are services that make settings be written which are of no use without any.
func probes(o *Options) []service.Service {
	if !o.AccessLog.Enabled || o.AccessLog.TCPFormat == "" {
		return nil
	}
	return []service.Service{{Name: "probe", Destinations: []service.Destination{{ReqMode: service.TCP, Port: 1, SrcPort: unusedPort(o)}}}}
}

// unusedPort is one that the settings do not name.
func unusedPort(o *Options) int {
	used := map[int]bool{o.OwnStatsPort(): true}
	for _, b := range o.Binds {
		used[b.Port] = true
	}
	port := 1
	for used[port] {
		port++
	}
	return port
}

// staged writes a model to a directory of its own below dir, asks about it and takes it away.
func staged(ctx context.Context, checker Checker, dir string, m *Model) error {
	dir, err := os.MkdirTemp(dir, StagingPrefix)
	if err != nil {
		return fmt.Errorf("make staging directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := writeStaging(dir, m.Files(0)); err != nil {
		return err
	}
	err = checker.Check(ctx, filepath.Join(dir, ConfigFile))
	if verdict := (*Verdict)(nil); errors.As(err, &verdict) {
		verdict.Text = strings.ReplaceAll(verdict.Text, dir+"/", "")
	}
	return err
}
