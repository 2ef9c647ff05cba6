package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  sluice version
  sluice version --output json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if p.output == outputJSON {
				return printJSON(p.out, map[string]string{"version": p.version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			fmt.Fprintf(p.out, "sluice %s (%s %s/%s)\n", p.version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// buildVersion is the linker's, else the module's, else the commit the program was built from.
func buildVersion(linked string) string {
	if linked != "" {
		return linked
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		const enough = 12
		if s.Key == "vcs.revision" && len(s.Value) >= enough {
			return "devel-" + s.Value[:enough]
		}
	}
	return "devel"
}
