package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"sluice/events/api"
)

// newRecoverCommand is for what `sluice status` tells an operator to do.
func newRecoverCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Go on where the replicas cannot by themselves: only when sluice status says so",
		Long: `Go on where the replicas cannot by themselves. They look after lost and recreated logs, lost tails
and outages on their own; "sluice status" names the command in the few cases where they may not.
Each is refused while there is nothing to recover.`,
		Example: `  sluice status
  sluice recover new-log --api http://proxy-1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, c := range []struct{ action, short, long, example string }{
		{string(api.RecoverNewLog), "Delete a log that nobody can read any more, and begin a new one",
			`Delete the log whose head is gone and that no snapshot, checkpoint or replica's state fits, or that asks for a
version of the program that there is not. The replicas begin a new one with their states; what was logged after
those is lost. Ask a replica that has a state.`,
			"  sluice status\n  sluice recover new-log --api http://proxy-1:8080"},
		{string(api.RecoverBeginLog), "Let an empty log begin with the called replica's state, however old",
			`Let an empty log begin with the state of the called replica although --no-bootstrap leaves that to you, or
although the state is older than removals are remembered (30 days): services removed since then may come
back. If another replica has a newer state, ask that one instead.`,
			"  sluice status\n  sluice recover begin-log --api http://proxy-1:8080"},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: c.action, Short: c.short, Long: c.long, Example: c.example, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				client, err := p.client()
				if err != nil {
					return err
				}
				done, err := client.Recover(cmd.Context(), api.RecoverAction(c.action))
				if err != nil {
					return err
				}
				if p.output == outputJSON {
					return printJSON(p.out, done)
				}
				fmt.Fprintln(p.out, printable(done.Done)+": follow it with sluice status --watch")
				return nil
			},
		})
	}
	for _, sub := range cmd.Commands() {
		interruptible(sub)
	}
	return cmd
}
