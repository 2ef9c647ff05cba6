package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"sluice/crdt/service"
	"sluice/events/api"
)

const maxFile = 1 << 20 // bytes of a definition file

// reconfigureFile publishes a whole definition; the file may name the service itself.
func (p *program) reconfigureFile(cmd *cobra.Command, f *reconfigureFlags, name string) error {
	data, err := p.readDefinition(f.file)
	if err != nil {
		return err
	}
	var named struct {
		Name string `json:"serviceName"`
	}
	if err := json.Unmarshal(data, &named); err != nil {
		return fmt.Errorf("read %s: %w", f.file, err)
	}
	switch {
	case name == "" && named.Name == "":
		return fmt.Errorf("name the service, as argument or as serviceName in %s", f.file)
	case name == "":
		name = named.Name
	case named.Name != "" && named.Name != name:
		return fmt.Errorf("%s defines %q, the argument is %q: make them equal", f.file, named.Name, name)
	}
	if f.dryRun {
		svc, err := service.ParseBody(data)
		if err != nil {
			return err
		}
		svc.Name = name
		return p.dryRun(svc)
	}
	return p.change(cmd, &f.waitFlags, func(ctx context.Context, c *api.Client) (api.Changed, error) {
		return c.Put(ctx, name, data, f.options())
	})
}

// readDefinition reads YAML, of which JSON is a part, and returns JSON.
func (p *program) readDefinition(path string) ([]byte, error) {
	in := p.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open definition: %w", err)
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, maxFile)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if doc == nil {
		return nil, fmt.Errorf("read %s: want a definition, for example serviceName: go-demo", path)
	}
	return json.Marshal(doc)
}

func (p *program) dryRunParams(params url.Values) error {
	req, err := service.Parse(params, service.Defaults{Separator: ","})
	if err != nil {
		return err
	}
	if req.Remove {
		fmt.Fprintln(p.err, "replicas is 0: this would remove the service")
		return nil
	}
	return p.dryRun(req.Service)
}

// dryRun checks by the rules that need no server, and as if the server allowed everything
// that an operator may allow.
func (p *program) dryRun(svc service.Service) error {
	if err := svc.Validate(service.Limits{AllowRaw: true, TemplatesDir: true}); err != nil {
		return err
	}
	fmt.Fprintln(p.err, "checked here only, nothing was sent; the API may still refuse raw configuration, templates, or what its HAProxy does not take")
	if svc.Clear.Cert != "" || len(svc.Clear.Passwords) > 0 {
		fmt.Fprintln(p.err, "secrets are left out below")
		svc.Clear = service.Clear{}
	}
	data, err := svc.Canonical()
	if err != nil {
		return err
	}
	return p.printDefinition(data)
}

// printDefinition shows a definition as YAML, which -f reads again, or as JSON.
func (p *program) printDefinition(data []byte) error {
	if p.output == outputJSON {
		return printJSON(p.out, json.RawMessage(data))
	}
	text, err := yaml.JSONToYAML(data)
	if err != nil {
		return fmt.Errorf("write definition: %w", err)
	}
	if _, err := p.out.Write(text); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
