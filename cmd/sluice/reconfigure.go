package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
)

// patience is how long beyond the wait a change may take.
const patience = 30 * time.Second

// waitFlags are those of every change.
type waitFlags struct {
	wait    string
	timeout time.Duration
	ifMatch string
}

func (f *waitFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.wait, "wait", string(events.WaitAll), "wait until the change is live on: all (replicas), local (the called one), none")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "how long to wait")
	cmd.Flags().StringVar(&f.ifMatch, "if-match", "", "change only the version with this stamp (see sluice services)")
}

func (f *waitFlags) options() api.Options {
	return api.Options{Wait: events.Scope(f.wait), Timeout: f.timeout, IfMatch: strings.Trim(f.ifMatch, `"`)}
}

// context bounds a change: its wait, and some patience for the rest.
func (f *waitFlags) context(parent context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(parent, f.timeout+patience)
}

// reconfigureFlags are those of one reconfigure.
type reconfigureFlags struct {
	waitFlags
	params map[string]*parameterFlag // by parameter name
	set    []string
	file   string
	dryRun bool
}

func newReconfigureCommand(p *program) *cobra.Command {
	f := &reconfigureFlags{params: map[string]*parameterFlag{}}
	cmd := &cobra.Command{
		Use:   "reconfigure NAME",
		Short: "Publish a service's definition; it replaces the previous one",
		Long: `Publish a service's definition. It replaces the previous one as a whole.

Every parameter is a flag; parameters with an index and old names go with --set. A list is
given by commas (the API's SEPARATOR) or by repeating the flag. A value of --users or --service-cert that begins
with @ names a file to read.`,
		Example: `  sluice reconfigure go-demo --port 8080 --service-path /demo
  sluice reconfigure go-demo --set port.1=8080 --set servicePath.1=/demo --set port.2=8081 --set servicePath.2=/admin
  sluice reconfigure -f go-demo.yaml --wait all --timeout 1m
  sluice reconfigure go-demo --port 8080 --service-path /demo --dry-run`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.reconfigure(cmd, f, args) },
	}
	f.waitFlags.register(cmd)
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "parameter=value, as in the HTTP API; repeat for more")
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "YAML or JSON file with the whole definition; - is standard input")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "check the definition here, without the API, and print it")
	for _, param := range service.Parameters() {
		f.registerParameter(cmd, param)
	}
	return cmd
}

// registerParameter leaves out what the command says in another way (the name, --wait all)
// and old names.
func (f *reconfigureFlags) registerParameter(cmd *cobra.Command, param service.Parameter) {
	if param.Deprecated || param.Name == "serviceName" || param.Name == "distribute" {
		return
	}
	value := &parameterFlag{kind: param.Type}
	f.params[param.Name] = value
	flag := cmd.Flags().VarPF(value, kebab(param.Name), "", param.Help)
	if param.Type == service.Bool {
		flag.NoOptDefVal = "true"
	}
}

func (p *program) reconfigure(cmd *cobra.Command, f *reconfigureFlags, args []string) error {
	var name string
	if len(args) == 1 {
		name = args[0]
	}
	params, err := f.parameters()
	if err != nil {
		return err
	}
	if f.file != "" {
		if len(params) > 0 {
			return errors.New("-f holds the whole definition: leave out the other parameters")
		}
		return p.reconfigureFile(cmd, f, name)
	}
	if name == "" {
		return errors.New("name the service: sluice reconfigure NAME …")
	}
	params.Set("serviceName", name)
	if err := service.CheckNames(params); err != nil {
		return err
	}
	if f.dryRun {
		return p.dryRunParams(params)
	}
	return p.change(cmd, &f.waitFlags, func(ctx context.Context, c *api.Client) (api.Changed, error) {
		return c.Reconfigure(ctx, name, params, f.options())
	})
}

// parameters are those that were given, by flag or by --set.
func (f *reconfigureFlags) parameters() (url.Values, error) {
	out := url.Values{}
	for _, text := range f.set {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %q: want parameter=value", name)
		}
		out.Add(name, value)
	}
	for name, flag := range f.params {
		if !flag.given {
			continue
		}
		value := flag.text
		if path, ok := strings.CutPrefix(value, "@"); ok && flag.kind == service.Secret {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("read --%s: %w", kebab(name), err)
			}
			value = string(data)
		}
		out.Set(name, value)
	}
	return out, nil
}

// change calls the API and prints what became of it.
func (p *program) change(cmd *cobra.Command, f *waitFlags, do func(context.Context, *api.Client) (api.Changed, error)) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	ctx, cancel := f.context(cmd.Context())
	defer cancel()
	changed, err := do(ctx, client)
	if err != nil {
		return err
	}
	if p.output == outputJSON {
		return printJSON(p.out, changed)
	}
	fmt.Fprintln(p.out, describe(changed.Receipt))
	return nil
}

func describe(r api.Receipt) string {
	var text string
	switch {
	case r.Outcome == api.OutcomeUnchanged && r.Seq == 0:
		text = "unchanged: the called replica's state is already so; the log, which cannot be reached, was not asked"
	case r.Outcome == api.OutcomeUnchanged:
		text = "unchanged: the state is already so"
	case r.Outcome == api.OutcomeAccepted:
		text = "accepted; the log gets it as soon as it can be reached"
	default:
		text = fmt.Sprintf("durable at sequence %d", r.Seq)
	}
	if r.Result == "beaten" {
		text += "; a newer change of the same service has won"
	}
	switch events.Scope(r.Live) {
	case events.WaitAll:
		text += "; live on all replicas"
	case events.WaitLocal:
		text += "; live on the called replica"
	}
	return text
}
