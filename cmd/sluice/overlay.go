package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"sluice/crdt/service"
	"sluice/events/api"
)

// overlayFlags say which servers of a service a command is about; none: all.
type overlayFlags struct {
	waitFlags
	servers      []string
	destinations []int
}

func (f *overlayFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.servers, "server", nil, "one server of it: address, address:port, host or host:port; repeat for more")
	cmd.Flags().IntSliceVar(&f.destinations, "destination", nil, "the servers of one destination of it, by index; repeat for more")
	f.waitFlags.register(cmd)
	cmd.Flags().Lookup("if-match").Usage = "change only the overlay with this stamp"
}

// stateCommand is one that gives servers a state.
type stateCommand struct {
	name, short, long, example string
	state                      service.State
}

// newOverlayCommands change how servers work without touching the definition.
func newOverlayCommands(p *program) []*cobra.Command {
	const stays = "\nThis stays until sluice ready, whatever is reconfigured meanwhile. No other server is disturbed."
	list := []*cobra.Command{newWeightCommand(p)}
	for _, c := range []stateCommand{
		{"drain", "Give servers of a service no new clients", "Give the servers no new clients: requests under way are finished, and clients bound to a server by a\ncookie still come." + stays,
			"  sluice drain go-demo --server 10.0.0.7\n  sluice drain go-demo --destination 2 --wait local", service.Drain},
		{"maintenance", "Give servers of a service no requests at all", "Give the servers no requests at all; those under way are finished." + stays,
			"  sluice maintenance go-demo\n  sluice maintenance go-demo --server 10.0.0.7:8080", service.Maint},
		{"ready", "End drain and maintenance of a service or of one of its servers", "End drain and maintenance: of everything in the service, or of the servers that are named. Weights stay.",
			"  sluice ready go-demo\n  sluice ready go-demo --server 10.0.0.7", service.Ready},
	} {
		list = append(list, newStateCommand(p, c))
	}
	return list
}

func newStateCommand(p *program, c stateCommand) *cobra.Command {
	f := &overlayFlags{}
	cmd := &cobra.Command{
		Use: c.name + " NAME", Short: c.short, Long: c.long, Example: c.example,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.overlay(cmd, f, args[0], func(o *service.Overlay) { f.giveState(o, c.state) })
		},
	}
	f.register(cmd)
	return cmd
}

func newWeightCommand(p *program) *cobra.Command {
	f := &overlayFlags{}
	cmd := &cobra.Command{
		Use:   "weight NAME N",
		Short: "Give servers of a service another part of its requests",
		Long: `Give servers a weight of 0 to 256: each gets requests in proportion to its weight. The default is 1.
Weights stay, whatever is reconfigured meanwhile, until they are 1 again.`,
		Example: `  sluice weight go-demo 3 --server 10.0.0.7
  sluice weight go-demo 1 --server 10.0.0.7`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: p.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			weight, err := strconv.Atoi(args[1])
			if err != nil || weight < 0 || weight > service.MaxWeight {
				return service.Errors{{Param: "weight", Value: args[1], Problem: "is no weight", Remedy: "use 0 to 256"}}
			}
			if len(f.servers)+len(f.destinations) == 0 {
				return errors.New("name the servers: sluice weight NAME N --server ADDRESS, or --destination INDEX")
			}
			return p.overlay(cmd, f, args[0], func(o *service.Overlay) { f.giveWeight(o, weight) })
		},
	}
	f.register(cmd)
	return cmd
}

// overlay calls the API and prints what became of the change.
func (p *program) overlay(cmd *cobra.Command, f *overlayFlags, name string, change func(*service.Overlay)) error {
	for i, text := range f.servers {
		server, err := service.ServerName(text)
		if err != nil {
			return err
		}
		f.servers[i] = server
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	ctx, cancel := f.context(cmd.Context())
	defer cancel()
	changed, err := client.ChangeOverlay(ctx, name, f.options(), change)
	if err != nil {
		return err
	}
	if p.output == outputJSON {
		return printJSON(p.out, changed)
	}
	fmt.Fprintln(p.out, describe(changed.Receipt))
	return nil
}

// giveState changes all that is named; without names, the service, and what is narrower
// gives way where it would keep servers from it.
func (f *overlayFlags) giveState(o *service.Overlay, state service.State) {
	if len(f.servers)+len(f.destinations) == 0 {
		o.State = state
		yields := func(s service.Setting) bool { return state == service.Ready || s.State == service.Ready }
		for index, s := range o.Destinations {
			if yields(s) {
				o.Destinations[index] = service.Setting{Weight: s.Weight}
			}
		}
		for server, s := range o.Servers {
			if yields(s) {
				o.Servers[server] = service.Setting{Weight: s.Weight}
			}
		}
		return
	}
	f.each(o, func(s *service.Setting) { s.State = "" })
	if state == service.Ready && !anyOf(o, func(s service.Setting) bool { return s.State != "" && s.State != service.Ready }) {
		return // nothing is wider that it would have to be told of
	}
	f.each(o, func(s *service.Setting) { s.State = state })
}

func (f *overlayFlags) giveWeight(o *service.Overlay, weight int) {
	f.each(o, func(s *service.Setting) { s.Weight = nil })
	if weight == 1 && !anyOf(o, func(s service.Setting) bool { return s.Weight != nil }) {
		return
	}
	f.each(o, func(s *service.Setting) { s.Weight = &weight })
}

// each changes the settings of all that is named.
func (f *overlayFlags) each(o *service.Overlay, change func(*service.Setting)) {
	for _, index := range f.destinations {
		if o.Destinations == nil {
			o.Destinations = map[int]service.Setting{}
		}
		s := o.Destinations[index]
		change(&s)
		o.Destinations[index] = s
	}
	for _, name := range f.servers {
		if o.Servers == nil {
			o.Servers = map[string]service.Setting{}
		}
		s := o.Servers[name]
		change(&s)
		o.Servers[name] = s
	}
}

func anyOf(o *service.Overlay, is func(service.Setting) bool) bool {
	if is(o.Setting) {
		return true
	}
	for _, s := range o.Destinations {
		if is(s) {
			return true
		}
	}
	for _, s := range o.Servers {
		if is(s) {
			return true
		}
	}
	return false
}

// showOverlay tells on the side what is in force over a service that is shown.
func (p *program) showOverlay(ctx context.Context, c *api.Client, name string) error {
	o, _, err := c.Overlay(ctx, name)
	var gone *api.Problem
	if errors.As(err, &gone) && gone.Status == http.StatusNotFound {
		return nil // the service went meanwhile, or the replica is older than overlays
	}
	if err != nil {
		return err
	}
	for _, part := range []struct {
		what    string
		overlay service.Overlay
	}{{"in force over it", service.Overlay{Setting: o.Setting, Destinations: o.Destinations, Servers: o.Servers}}, {"what Docker tells of it", service.Overlay{Tasks: o.Tasks}}} {
		text, err := part.overlay.Canonical()
		if err != nil {
			return err
		}
		if text != nil {
			fmt.Fprintf(p.err, "%s: %s\n", part.what, text)
		}
	}
	return nil
}

// overlaid is the word for an overlay in the list of services.
func overlaid(document []byte) string {
	o, err := service.DecodeOverlay(document)
	switch {
	case len(document) == 0:
		return ""
	case err != nil:
		return "unreadable"
	case o.State != "":
		return string(o.State)
	case o.Weight == nil && len(o.Destinations)+len(o.Servers) == 0:
		return "" // only what a watcher tells of the tasks
	}
	return "in part"
}
