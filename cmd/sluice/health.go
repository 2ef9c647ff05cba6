package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func newHealthcheckCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "healthcheck",
		Short:   "Exit with 0 while the replica is alive; fails until it was ready once",
		Example: `  sluice healthcheck --api http://127.0.0.1:8080`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			return client.Health(ctx)
		},
	}
}
