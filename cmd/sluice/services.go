package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/crdt"
	"sluice/events/api"
)

func newServicesCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "services",
		Short: "List the services",
		Example: `  sluice services
  sluice services --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			items, err := client.Services(cmd.Context())
			if err != nil {
				return err
			}
			if p.output == outputJSON {
				return printJSON(p.out, items)
			}
			return p.printServices(items)
		},
	}
}

func newShowCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show a service's definition, without its secrets",
		Example: `  sluice show go-demo
  sluice show go-demo > go-demo.yaml && sluice reconfigure -f go-demo.yaml`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			item, err := client.Service(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := p.printDefinition(item.Definition); err != nil {
				return err
			}
			return p.showOverlay(cmd.Context(), client, args[0])
		},
	}
}

// completeNames completes service names in the shell; without the API there are none.
func (p *program) completeNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	client, err := p.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	items, err := client.Services(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, item := range items {
		names = append(names, item.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// summary is what the list shows of a definition.
type summary struct {
	Destinations []struct {
		Port, HTTPSPort int
		ReqMode         string
		ServicePath     []string
		ServiceDomain   []string
		SrcPort         int
	}
}

func (p *program) printServices(items []api.Item) error {
	t := newTable(p.out, "NAME", "RULES", "PORTS", "OVERLAY", "CHANGED", "STAMP")
	for _, item := range items {
		var s summary
		if err := json.Unmarshal(item.Definition, &s); err != nil {
			return fmt.Errorf("read service %s: %w", item.Name, err)
		}
		t.row(item.Name, s.rules(), s.ports(), overlaid(item.Overlay), changed(item.Stamp), item.Stamp)
	}
	return t.flush()
}

// rules shows host and path of each destination, or the entry port of TCP.
func (s summary) rules() string {
	var out []string
	for _, d := range s.Destinations {
		if d.ReqMode != "" && d.ReqMode != "http" {
			out = append(out, d.ReqMode+":"+strconv.Itoa(d.SrcPort))
			continue
		}
		hosts := d.ServiceDomain
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, host := range hosts {
			for _, path := range d.ServicePath {
				out = append(out, host+path)
			}
		}
	}
	const most = 4
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("… %d more", len(out)-most))
	}
	return strings.Join(out, " ")
}

func (s summary) ports() string {
	var out []string
	for _, d := range s.Destinations {
		for _, port := range []int{d.Port, d.HTTPSPort} {
			if text := strconv.Itoa(port); port > 0 && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return strings.Join(out, ",")
}

// changed is when a version was written, by its stamp.
func changed(stamp string) string {
	s, err := crdt.ParseStamp(stamp)
	if err != nil {
		return "-"
	}
	return ago(time.Now(), time.UnixMilli(int64(s.Millis())))
}
