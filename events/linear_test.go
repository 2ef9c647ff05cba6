package events_test

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"sluice/events"
)

// attempt is a conditional write: of a key that must have the version match, "" for none.
type attempt struct{ key, match string }

// verdict is what its caller was told; version is what it wrote, if it wrote.
type verdict struct {
	done, unknown bool
	version       string
}

// register is what a key with conditional writes has to look like: one version at a time,
// replaced only by who names it.
func register() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{""} },
		Step: func(state, input, output any) []any {
			held, v := state.(string) == input.(attempt).match, output.(verdict)
			switch {
			case v.unknown && held:
				return []any{state, v.version}
			case v.unknown:
				return []any{state}
			case v.done && held:
				return []any{v.version}
			case !v.done && !held:
				return []any{state}
			}
			return nil
		},
		Equal: func(a, b any) bool { return a == b },
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[string][]porcupine.Operation{}
			for _, op := range history {
				key := op.Input.(attempt).key
				byKey[key] = append(byKey[key], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byKey {
				parts = append(parts, part)
			}
			return parts
		},
	}
	return m.ToModel()
}

// contest lets clients of three replicas write the same keys under conditions.
func contest(t *testing.T, log *memLog) []porcupine.Operation {
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for i := range 3 {
		r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.AuditEvery = 100 * time.Millisecond })
		r.fresh()
		for range 3 {
			wg.Go(func() {
				for n := range 12 {
					key := "service/" + []string{"a", "b"}[n%2]
					e, _ := r.Entry(key)
					c := events.Change{Key: key, Value: []byte(`{}`), IfAbsent: !e.Live()}
					if e.Live() {
						c.IfMatch = e.Stamp.String()
					}
					op := porcupine.Operation{ClientId: i, Input: attempt{key, c.IfMatch}, Call: time.Now().UnixNano()}
					receipt, err := r.Write(t.Context(), c)
					op.Return = time.Now().UnixNano()
					v := verdict{done: err == nil, version: receipt.Stamp.String()}
					if v.unknown = errors.Is(err, events.ErrUnknownOutcome); v.unknown {
						op.Return = math.MaxInt64 // it may yet happen
					} else if err != nil && !errors.Is(err, events.ErrPrecondition) {
						continue // certainly not applied
					}
					op.Output = v
					mu.Lock()
					history = append(history, op)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	return history
}

func TestConditionalWritesAreLinearizable(t *testing.T) {
	for name, some := range map[string]int32{"all answers come": 0, "some answers never come": 5} {
		t.Run(name, func(t *testing.T) {
			log := newMemLog()
			var sent atomic.Int32
			log.silent = func() bool { return some > 0 && sent.Add(1)%some == 0 }
			history := contest(t, log)
			done := 0
			for _, op := range history {
				if op.Output.(verdict).done {
					done++
				}
			}
			if done < 10 {
				t.Errorf("only %d of %d writes were made", done, len(history))
			}
			if !porcupine.CheckOperations(register(), history) {
				t.Errorf("%d operations cannot be put in an order", len(history))
			}
		})
	}
}

// A log that does not compare the expected sequence is noticed.
func TestLostConditionIsNoticed(t *testing.T) {
	for range 10 {
		log := newMemLog()
		log.loose = true
		log.intercept = func(events.Outgoing) error {
			time.Sleep(time.Millisecond) // so that several have read before one has written
			return nil
		}
		if !porcupine.CheckOperations(register(), contest(t, log)) {
			return
		}
	}
	t.Error("every history could be put in an order")
}
