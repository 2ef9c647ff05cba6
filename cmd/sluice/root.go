package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sluice/events/api"
)

// program is what commands share: the outside world and the global flags.
type program struct {
	version  string
	environ  []string // as os.Environ returns it
	in       io.Reader
	out, err io.Writer

	// Global flags.
	api, tokenFile, output string
}

// getenv is the value of a variable; of one that is set twice, the last.
func (p *program) getenv(name string) string {
	value := ""
	for _, line := range p.environ {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			value = v
		}
	}
	return value
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, p *program, args []string) int {
	root := newRootCommand(p)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		printError(p.err, err)
	}
	return exitCode(err)
}

func newRootCommand(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "An edge control plane: routing changes are events, every replica drives its own HAProxy",
		Long: `Sluice keeps the HAProxy of every replica in step: each change of a route is an event on a
durable log, and each replica makes its configuration from that log.

Exit codes: 0 done, 1 failed, 3 not applied everywhere within the timeout, 4 refused
(access, validation, conflict).`,
		Version:           p.version,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return p.checkFlags() },
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	flags := root.PersistentFlags()
	flags.StringVar(&p.api, "api", "", "URL of a replica's API (SLUICE_API; default "+defaultAPI+")")
	flags.StringVar(&p.tokenFile, "token-file", "", "file with the access token (or the token itself in SLUICE_TOKEN)")
	flags.StringVarP(&p.output, "output", "o", outputText, "text or json")
	root.AddCommand(commands(p)...)
	return root
}

// commands is every sub-command. The replica has signals of its own: it drains first.
func commands(p *program) []*cobra.Command {
	return append(clientCommands(p), newRunCommand(p.version, p.environ), newBrokerCommand(p.version, p.environ), newWatchCommand(p), newRecoverCommand(p))
}

// clientCommands call the API of a replica, and end at once when they are interrupted.
func clientCommands(p *program) []*cobra.Command {
	all := []*cobra.Command{
		newReconfigureCommand(p),
		newRemoveCommand(p),
		newServicesCommand(p),
		newShowCommand(p),
		newLogCommand(p),
		newWhyCommand(p),
		newStatusCommand(p),
		newHealthcheckCommand(p),
		newVersionCommand(p),
	}
	all = append(all, newOverlayCommands(p)...)
	for _, cmd := range all {
		interruptible(cmd)
	}
	return all
}

func interruptible(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		cmd.SetContext(ctx)
		return run(cmd, args)
	}
}

const (
	defaultAPI = "http://127.0.0.1:8080"
	outputText = "text"
	outputJSON = "json"
)

func (p *program) checkFlags() error {
	if p.output != outputText && p.output != outputJSON {
		return fmt.Errorf("--output %q: use text or json", p.output)
	}
	return nil
}

// client calls the API that the flags and the environment name.
func (p *program) client() (*api.Client, error) {
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.ClientConfig{Base: p.base(), Token: token, Origin: "cli"})
	if err != nil {
		return nil, fmt.Errorf("--api (SLUICE_API): %w", err)
	}
	return client, nil
}
