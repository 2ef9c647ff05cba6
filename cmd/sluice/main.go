// Command sluice is the whole program: the proxy replica and the command line that
// talks to it.
package main

import (
	"context"
	"os"
)

// version is set by the linker (-X main.version=v1.2.3); empty: the build information tells.
var version string

func main() {
	p := program{version: buildVersion(version), environ: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(execute(context.Background(), &p, os.Args[1:]))
}
