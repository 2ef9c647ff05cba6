package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sluice/events"
)

const watchEvery = 2 * time.Second

func newStatusCommand(p *program) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the replicas: positions, digests, lag, what is stale or quarantined",
		Example: `  sluice status
  sluice status --watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !watch {
				return p.status(cmd.Context())
			}
			return p.watchStatus(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every two seconds")
	return cmd
}

func (p *program) watchStatus(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		// A replica that is away for a moment is what one watches for.
		if err := p.status(ctx); err != nil && ctx.Err() == nil {
			printError(p.err, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			fmt.Fprintln(p.out)
		}
	}
}

func (p *program) status(ctx context.Context) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	replicas, err := client.Replicas(ctx)
	if err != nil {
		return err
	}
	if p.output == outputJSON {
		return printJSON(p.out, replicas)
	}
	t := newTable(p.out, "REPLICA", "READY", "SEQ", "LIVE", "LAG", "SERVICES", "PENDING", "MAP", "CONFIG", "GENERATION", "VERSION", "HEARD")
	for _, r := range replicas {
		t.row(r.Name, yes(r.Ready), count(r.Seq), count(r.Live), count(r.Lag), strconv.Itoa(r.Services), strconv.Itoa(r.Pending),
			short(r.Digest), short(r.ConfigDigest), count(r.Generation), r.Version, ago(time.Now(), r.Time))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, line := range remarks(replicas) {
		fmt.Fprintln(p.out, printable(line))
	}
	return nil
}

// remarks are what somebody should look at.
func remarks(replicas []events.Status) []string {
	var out []string
	digests := map[string]string{}
	for _, r := range replicas {
		if r.Stale != "" {
			out = append(out, fmt.Sprintf("%s is stale: %s", r.Name, r.Stale))
		}
		if r.Problem != "" {
			out = append(out, fmt.Sprintf("%s: %s", r.Name, r.Problem))
		}
		for _, note := range r.Notes {
			out = append(out, fmt.Sprintf("%s: %s", r.Name, note))
		}
		if r.InsecureAPI {
			out = append(out, r.Name+" lets anybody change it (--insecure-api): give it tokens with --tokens-file")
		}
		if r.Rejected > 0 {
			out = append(out, fmt.Sprintf("%s has given up %d changes, which may be lost: sluice log --kind rejected --api <its address>", r.Name, r.Rejected))
		}
		for _, q := range r.Quarantine {
			serving := "none"
			if q.Serving != "" {
				serving = q.Serving
			}
			out = append(out, fmt.Sprintf("%s does not serve version %s of %s (serving: %s): %s", r.Name, q.Version, q.Service, serving, q.Reason))
		}
		at := fmt.Sprintf("%s@%d", r.StreamID, r.Seq)
		if other, ok := digests[at]; ok && other != r.Digest {
			out = append(out, fmt.Sprintf("%s has another state than a replica at the same position: report this", r.Name))
		}
		digests[at] = r.Digest
	}
	return out
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

// short is enough of a digest to compare by eye.
func short(digest string) string {
	const most = 12
	if len(digest) > most {
		return digest[:most]
	}
	return digest
}
