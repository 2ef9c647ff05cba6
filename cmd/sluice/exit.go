package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"sluice/cmd/internal/node"
	"sluice/crdt/service"
	"sluice/events/api"
)

// Exit codes of the program.
const (
	exitDone       = 0
	exitFailed     = 1
	exitNotApplied = 3 // durable, but not live everywhere within the timeout
	exitRefused    = 4 // access, validation, conflict
)

// exitCode tells scripts what kind of failure it was.
func exitCode(err error) int {
	var p *api.Problem
	var fields service.Errors
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &fields), errors.Is(err, service.ErrIncomplete):
		return exitRefused
	case !errors.As(err, &p):
		return exitFailed
	case p.Outcome == api.OutcomeDurable:
		return exitNotApplied
	}
	switch p.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict,
		http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong:
		return exitRefused
	}
	return exitFailed
}

// printError shows each problem of an input on its own line, and nothing that could drive
// the terminal.
func printError(w io.Writer, err error) {
	var p *api.Problem
	switch {
	case errors.Is(err, api.ErrUnreachable):
		fmt.Fprintf(w, "sluice: %s; name another replica with --api (SLUICE_API)\n", printable(err.Error()))
		return
	case errors.As(err, &p) && p.Status == http.StatusUnauthorized:
		fmt.Fprintf(w, "sluice: %v\n", node.ErrToken)
		return
	case !errors.As(err, &p) || len(p.Errors) < 2:
		// The problems of a configuration are one per line.
		for i, line := range strings.Split(err.Error(), "\n") {
			if i == 0 {
				line = "sluice: " + line
			}
			fmt.Fprintln(w, printable(line))
		}
		return
	}
	fmt.Fprintln(w, "sluice: the definition is refused, nothing was changed:")
	for _, e := range p.Errors {
		line := e.Param + " " + e.Problem
		if e.Remedy != "" {
			line += "; " + e.Remedy
		}
		fmt.Fprintln(w, "  "+printable(line))
	}
}
