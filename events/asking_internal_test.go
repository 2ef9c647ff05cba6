package events

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

// An answer is good for all who came before the question was sent, and for nobody else.
func TestOneQuestionForAllWhoCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, next, asked := newAsking(), make(chan struct{}), uint64(0)
		ask := func(context.Context) (LogInfo, error) {
			asked++
			n := asked
			<-next
			return LogInfo{Last: n}, nil
		}
		var mu sync.Mutex
		answers := map[string]uint64{}
		come := func(ctx context.Context, who string) {
			go func() {
				info, err := q.info(ctx, ask)
				mu.Lock()
				defer mu.Unlock()
				if answers[who] = info.Last; err != nil {
					answers[who] = 0
				}
			}()
			synctest.Wait()
		}
		come(t.Context(), "first")
		leaves, leave := context.WithCancel(t.Context())
		come(leaves, "asks the next and goes")
		come(t.Context(), "second")
		impatient, end := context.WithCancel(t.Context())
		come(impatient, "goes")
		end()
		leave()
		next <- struct{}{}
		synctest.Wait()
		come(t.Context(), "third")
		next <- struct{}{}
		next <- struct{}{}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := map[string]uint64{"first": 1, "second": 2, "goes": 0, "third": 3}
		for who, n := range want {
			if answers[who] != n {
				t.Errorf("%s: answer %d, want %d", who, answers[who], n)
			}
		}
		if asked != 3 {
			t.Errorf("asked %d times", asked)
		}
	})
}
