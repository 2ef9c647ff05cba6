package main

import (
	"context"

	"github.com/spf13/cobra"

	"sluice/events/api"
)

func newRemoveCommand(p *program) *cobra.Command {
	f := &waitFlags{}
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a service; removing one that is not there changes nothing",
		Example: `  sluice remove go-demo
  sluice remove go-demo --wait local --timeout 5s`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.change(cmd, f, func(ctx context.Context, c *api.Client) (api.Changed, error) {
				return c.Remove(ctx, args[0], f.options())
			})
		},
	}
	f.register(cmd)
	return cmd
}
