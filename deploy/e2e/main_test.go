package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// sluice is the program under test, built by TestMain.
var sluice string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// buildAndRun builds the program once; SLUICE_TEST_RACE=1 with the race detector, whose
// reports fail the test that provoked them.
func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	sluice = filepath.Join(dir, "sluice")

	args := []string{"build", "-o", sluice}
	if os.Getenv("SLUICE_TEST_RACE") != "" {
		args = append(args, "-race")
	}
	since := time.Now()
	out, err := exec.Command("go", append(args, "sluice/cmd/sluice")...).CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build sluice: %v\n%s", err, out)
		return 1
	}
	fmt.Printf("built sluice in %v\n", time.Since(since).Round(time.Second))
	code := m.Run()
	figures.print(os.Stdout)
	return code
}
