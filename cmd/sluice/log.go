package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sluice/crdt/service"
	"sluice/events"
)

func newLogCommand(p *program) *cobra.Command {
	var query events.Query
	var since string
	cmd := &cobra.Command{
		Use:   "log [NAME]",
		Short: "Show the events: sequence, time, actor, origin, kind, key, result",
		Example: `  sluice log
  sluice log go-demo --since 2h
  sluice log go-demo --kind overlay
  sluice log --conflicts
  sluice log --follow --output json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := service.CheckName(args[0]); err != nil {
					return err
				}
				if query.Key = service.Key(args[0]); query.Kind == "overlay" {
					query.Key = service.OverlayKey(args[0])
				}
			}
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			return p.log(cmd.Context(), query, from)
		},
	}
	cmd.Flags().Uint64Var(&query.After, "after", 0, "begin after this sequence")
	cmd.Flags().StringVar(&query.Kind, "kind", "service", "events of: service, overlay (drain, maintenance, weights); rejected: changes that the replica gave up")
	cmd.Flags().StringVar(&since, "since", "", "begin at this time (2026-01-31T12:00:00Z) or so long ago (90m)")
	cmd.Flags().BoolVar(&query.Conflicts, "conflicts", false, "only writes that competed with another one, which their writer did not know")
	cmd.Flags().BoolVar(&query.Follow, "follow", false, "go on with new events")
	return cmd
}

func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since %q: want a time such as 2026-01-31T12:00:00Z or a duration such as 90m", text)
	}
	return t, nil
}

func (p *program) log(ctx context.Context, query events.Query, since time.Time) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	show, headed := logJSON, true
	if p.output == outputText {
		show, headed = logLine, false
	}
	err = client.Events(ctx, query, func(r events.Record) error {
		if r.Time.Before(since) {
			return nil
		}
		if !headed {
			headed = true
			fmt.Fprintf(p.out, logFormat, "SEQ", "TIME", "ACTOR", "ORIGIN", "KIND", "KEY", "RESULT")
		}
		return show(p.out, r)
	})
	switch {
	case query.Follow && errors.Is(ctx.Err(), context.Canceled):
		return nil // Ctrl-C is how following ends
	case query.Follow && err == nil:
		return errors.New("the replica ended the stream, it is stopping: follow another (--api), or this one again")
	}
	return err
}

// logFormat has fixed widths: lines that follow must not wait for others.
const logFormat = "%8s  %-19s  %-12s  %-6s  %-16s  %-32s  %s\n"

func logLine(w io.Writer, r events.Record) error {
	result := string(r.Result)
	if r.Reason != "" {
		result += ": " + r.Reason
	}
	if r.Conflict != nil {
		result += "; " + conflictText(*r.Conflict)
	}
	kind := r.Kind
	if r.Action != "" {
		kind += "." + r.Action
	}
	_, err := fmt.Fprintf(w, logFormat, strconv.FormatUint(r.Seq, 10), r.Time.Local().Format(time.DateTime),
		dash(r.Actor), dash(r.Origin), dash(kind), dash(r.Key), dash(result))
	return err
}

// conflictText tells a writer what became of the write, and of whose.
func conflictText(c events.Conflict) string {
	who := c.Actor
	if who == "" {
		who = "somebody"
	}
	if c.Won {
		return "conflict: that of " + who + " (" + c.Stamp + ") is in force"
	}
	return "conflict: overwrote that of " + who + " (" + c.Stamp + "), unseen"
}

// logJSON writes one line per event, as jq likes it.
func logJSON(w io.Writer, r events.Record) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}
