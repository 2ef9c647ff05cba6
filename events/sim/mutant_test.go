package sim_test

import (
	"testing"

	"sluice/events/internal/rule"
)

// bySeeds are the broken rules that random runs find, with the scenario that finds them best
// and the number of seeds that is enough.
func bySeeds() map[rule.Broken]hunt {
	return map[rule.Broken]hunt{
		rule.FoldNoFuture:      {"clock+24h", 10},
		rule.FoldNoExpiry:      {"calm+split", 60},
		rule.TightF:            {"clock+7s", 100},
		rule.TieKeepsFirst:     {"ties", 60},
		rule.RefRaw:            {"leader", 30},
		rule.RawNoPlus:         {"raw", 100},
		rule.CollectEarly:      {"plain", 10},
		rule.GenExpiry:         {"calm+recreate", 20},
		rule.GenNoRef:          {"leader+recreate", 60},
		rule.GenNoTomb:         {"recreate", 20},
		rule.BlankSeed:         {"recreate", 20},
		rule.GenTwice:          {"calm+recreate", 30},
		rule.GenOnlyAtZero:     {"recreate+raw+trim", 40},
		rule.GenForgetsEarlier: {"everything", 100},
		rule.DropLE:            {"clock+24h", 10},
		rule.DurableWins:       {"plain", 10},
		rule.NoSweep:           {"plain", 10},
		rule.NoFoldDrop:        {"plain", 10},
		rule.NoP:               {"plain", 10},
		rule.NoVisPlus:         {"ties", 20},
		rule.NoClockPlus:       {"ties", 20},
		rule.AckActs:           {"ties", 20},
		rule.OwnerOnly:         {"leader", 100},
		rule.NewestExpiry:      {"clock+24h", 10},
		rule.LocalExpiry:       {"clock+24h", 10},
		rule.LocalCollect:      {"clock+24h", 10},
		rule.AdmitFuture:       {"clock+24h", 10},
		rule.NoAE:              {"never", 10},
		rule.NoDExch:           {"never", 10},
		rule.AdoptAnySid:       {"recreate", 20},
		rule.MergeD:            {"plain", 10},
		rule.AdoptNoReoffer:    {"tail40", 30},
		rule.NoReofferD:        {"tail", 10},
		rule.NoReofferTomb:     {"tail40", 10},
		rule.NoAnchor:          {"tail", 20},
		rule.AnchorNoTime:      {"calm+tail+trim", 60},
		rule.NoLast:            {"tail", 20},
		rule.NoSid:             {"calm+recreate", 10},
		rule.CkptNoAnchor:      {"lives", 60},
		rule.ResumeGap:         {"calm+trim", 600},
		rule.NoAudit:           {"lives", 600},
		rule.AuditNoPoint:      {"lives", 100},
	}
}

type hunt struct {
	scenario string
	seeds    int
}

func named(t *testing.T, name string) scenario {
	t.Helper()
	for _, s := range scenarios() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no scenario %q", name)
	return scenario{}
}

func TestMutant(t *testing.T) {
	for broken, h := range bySeeds() {
		t.Run(broken.String(), func(t *testing.T) {
			s := named(t, h.scenario)
			for seed := uint64(1); seed <= uint64(h.seeds); seed++ {
				if _, err := s.run(seed, settings{broken: rule.Of(broken)}); err != nil {
					t.Logf("%s, seed %d: %v", h.scenario, seed, err)
					return
				}
			}
			t.Errorf("nobody notices in %d runs of %s", h.seeds, h.scenario)
		})
	}
}

func TestEveryMutantHasItsTest(t *testing.T) {
	known := map[rule.Broken]bool{}
	for b := range bySeeds() {
		known[b] = true
	}
	for b := range paths() {
		known[b] = true
	}
	for _, b := range rule.All() {
		if !known[b] {
			t.Errorf("nothing looks for %s", b)
		}
	}
}
