package sim_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"sluice/events/internal/rule"
)

func TestFind(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("FIND"))
	if n == 0 {
		t.Skip()
	}
	for _, b := range rule.All() {
		line := fmt.Sprintf("%-18s", b)
		for _, s := range scenarios() {
			failed := 0
			example := ""
			for seed := 1; seed <= n; seed++ {
				with := settings{broken: rule.Of(b)}
				if _, err := s.run(uint64(seed), with); err != nil {
					failed++
					example = err.Error()
				}
			}
			if failed > 0 {
				line += fmt.Sprintf(" %s:%d", s.name, failed)
			}
			_ = example
		}
		fmt.Println(line)
	}
}
