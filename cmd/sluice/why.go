package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/events/api"
)

func newWhyCommand(p *program) *cobra.Command {
	var method string
	var headers []string
	cmd := &cobra.Command{
		Use:   "why URL",
		Short: "Explain which rule a request meets, which event made it, and what it shadows",
		Long: `Explain which rule a request meets on the called replica, as its HAProxy serves now: the service
and its backend in haproxy.cfg, the event that made the rule with its actor and time, and the rules
that match as well and would take over. Nothing is sent to any service.

The port of the URL is the proxy's entry port; without one the request enters at the proxy's own
port for http or https.`,
		Example: `  sluice why http://acme.com/demo/hello
  sluice why https://acme.com/login --method POST
  sluice why http://acme.com/demo --header 'User-Agent: amiga' --header 'X-Version: 2'
  sluice why http://acme.com/demo --output json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			answer, err := client.Why(cmd.Context(), args[0], method, headers)
			if err != nil {
				return err
			}
			if p.output == outputJSON {
				return printJSON(p.out, answer)
			}
			return explain(p.out, &answer, time.Now())
		},
	}
	cmd.Flags().StringVar(&method, "method", http.MethodGet, "method of the request")
	cmd.Flags().StringArrayVar(&headers, "header", nil, "header of the request, 'Name: value'; repeat for more")
	completeMethods(cmd)
	return cmd
}

func completeMethods(cmd *cobra.Command) {
	methods := []cobra.Completion{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"method": cobra.FixedCompletions(methods, cobra.ShellCompDirectiveNoFileComp),
		"header": cobra.NoFileCompletions,
	} {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // only for a flag that does not exist
		}
	}
}

// explain writes an explanation as labelled lines.
func explain(w io.Writer, e *api.Explanation, now time.Time) error {
	r := &report{w: w}
	r.line("request", "%s %s, entering at port %d (%s)", e.Request.Method, e.Request.URL(), e.Request.Port, protocol(e.Request.TLS))
	for _, rule := range e.Doubts {
		r.line("perhaps", "%s", ruleText(rule))
	}
	label := "goes to"
	if len(e.Doubts) > 0 {
		label = "else to"
	}
	r.line(label, "%s", destination(e))
	if e.Rule.Kind != api.RuleNone {
		r.line("by rule", "%s", conditionsOf(e.Rule))
	}
	if e.Status != 0 {
		r.line("answers", "%s", ownAnswer(e))
	}
	if e.Event != nil {
		r.line("made by", "%s", causeText(e.Event, now))
	}
	if q := e.Quarantine; q != nil {
		r.line("but", "version %s is refused here, an earlier one serves: %s", q.Version, q.Reason)
	}
	for _, rule := range e.Shadowed {
		r.line("shadows", "%s", ruleText(rule))
	}
	if e.MoreShadowed > 0 {
		r.line("shadows", "%d more", e.MoreShadowed)
	}
	for _, note := range e.Notes {
		r.line("note", "%s", note)
	}
	return r.err
}

// report writes lines until one fails.
type report struct {
	w   io.Writer
	err error
}

func (r *report) line(label, format string, args ...any) {
	if r.err != nil {
		return
	}
	if _, err := fmt.Fprintf(r.w, "%-9s%s\n", label, printable(fmt.Sprintf(format, args...))); err != nil {
		r.err = fmt.Errorf("write output: %w", err)
	}
}

func protocol(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

func destination(e *api.Explanation) string {
	switch {
	case e.Rule.Kind == api.RuleNone:
		return "nothing: no rule matches and no service is the default backend"
	case e.Rule.Service == "":
		return "HAProxy's own page, backend " + e.Rule.Backend
	case e.Rule.Backend == "":
		return "another host, as service " + e.Rule.Service + " wants it"
	}
	return serviceText(e.Rule)
}

func serviceText(rule api.Rule) string {
	text := "service " + rule.Service
	if rule.Index > 0 {
		text += fmt.Sprintf(" (index %d)", rule.Index)
	}
	if rule.Backend != "" {
		text += ", backend " + rule.Backend
	}
	return text
}

// ruleText is a rule on one line.
func ruleText(rule api.Rule) string {
	text := serviceText(rule) + ", by " + conditionsOf(rule)
	if rule.Doubt != "" {
		text += "; cannot be told: " + rule.Doubt
	}
	return text
}

func conditionsOf(rule api.Rule) string {
	switch {
	case len(rule.Conditions) > 0:
		return rule.Kind + ": " + strings.Join(rule.Conditions, " and ")
	case rule.Kind == api.RuleRedirect:
		return rule.Kind + " " + rule.Host
	case rule.Path == "":
		return rule.Kind
	case rule.Host == "" && rule.Service != "":
		return rule.Kind + " " + rule.Path + " of any host"
	case rule.Host == "":
		return rule.Kind + " " + rule.Path
	}
	return rule.Kind + " " + rule.Path + " of host " + rule.Host
}

// ownAnswer is what the proxy says without asking a server.
func ownAnswer(e *api.Explanation) string {
	text := fmt.Sprintf("%d (%s)", e.Status, e.Reason)
	switch {
	case e.Location != "":
		return text + ", Location: " + e.Location
	case e.ErrorFile != "":
		return text + ", with " + e.ErrorFile
	}
	return text + ", with HAProxy's own page"
}

func causeText(c *api.Cause, now time.Time) string {
	var parts []string
	if c.Seq > 0 {
		parts = append(parts, fmt.Sprintf("event %d", c.Seq))
	}
	if c.Actor != "" {
		parts = append(parts, "by "+c.Actor)
	}
	if c.Origin != "" {
		parts = append(parts, "through "+c.Origin)
	}
	if !c.Time.IsZero() {
		parts = append(parts, "at "+c.Time.Local().Format(time.DateTime)+" ("+ago(now, c.Time)+")")
	}
	if c.Stamp != "" {
		parts = append(parts, "stamp "+c.Stamp)
	}
	if len(parts) == 0 {
		return "an event that is not known"
	}
	return strings.Join(parts, ", ")
}
