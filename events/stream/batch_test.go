package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/events"
	"sluice/events/stream"
)

// together appends n messages at once and returns their sequences and errors.
func together(tb testing.TB, log *stream.Log, messages []events.Outgoing) ([]uint64, []error) {
	tb.Helper()
	seqs, errs := make([]uint64, len(messages)), make([]error, len(messages))
	var wg sync.WaitGroup
	for i, m := range messages {
		wg.Go(func() { seqs[i], errs[i] = send(tb, log, m) })
	}
	wg.Wait()
	return seqs, errs
}

func numbered(n int) []events.Outgoing {
	messages := make([]events.Outgoing, n)
	for i := range messages {
		messages[i] = events.Outgoing{Subject: key, ID: fmt.Sprint("id", i), Data: fmt.Append(nil, i)}
	}
	return messages
}

// batched counts the stored messages that came in a batch.
func batched(tb testing.TB, s *testServer, last uint64) int {
	tb.Helper()
	st, err := s.js(tb).Stream(tb.Context(), subjects.Stream())
	if err != nil {
		tb.Fatal(err)
	}
	n := 0
	for seq := uint64(1); seq <= last; seq++ {
		m, err := st.GetMsg(tb.Context(), seq)
		if err != nil {
			tb.Fatal(err)
		}
		if m.Header.Get("Nats-Batch-Id") != "" {
			n++
		}
	}
	return n
}

// checkStored: every message is stored once, where its sequence says.
func checkStored(tb testing.TB, log *stream.Log, messages []events.Outgoing, seqs []uint64) {
	tb.Helper()
	for i, seq := range seqs {
		m, err := log.Get(tb.Context(), seq)
		if err != nil || string(m.Data) != string(messages[i].Data) {
			tb.Errorf("message %d at %d: %.20q, %v; want %.20q", i, seq, m.Data, err, messages[i].Data)
		}
	}
	if info := open(tb, log); info.Last != uint64(len(messages)) || len(slices.Compact(slices.Sorted(slices.Values(seqs)))) != len(messages) {
		tb.Errorf("the log ends at %d, sequences %v; want each of %d once", info.Last, seqs, len(messages))
	}
}

func TestAppendTogether(t *testing.T) {
	s := startServer(t)
	log := s.log(t)
	open(t, log)
	messages := numbered(200)
	seqs, errs := together(t, log, messages)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	checkStored(t, log, messages, seqs)
	if n := batched(t, s, 200); n < 100 {
		t.Errorf("%d of 200 messages came in batches, want most of them", n)
	}
	t.Run("what is stored already is not stored again", func(t *testing.T) {
		again, errs := together(t, log, messages)
		if err := errors.Join(errs...); err != nil || !slices.Equal(again, seqs) {
			t.Errorf("sequences %v, %v; want %v", again, err, seqs)
		}
	})
}

func TestAppendTogetherOneIsRefused(t *testing.T) {
	log := startServer(t).log(t)
	open(t, log)
	messages := numbered(100)
	const bad = 70
	messages[bad].Data = make([]byte, 300<<10)
	seqs, errs := together(t, log, messages)
	if !errors.Is(errs[bad], events.ErrRefused) {
		t.Errorf("the large one: %v", errs[bad])
	}
	errs[bad] = nil
	if err := errors.Join(errs...); err != nil {
		t.Errorf("the others: %v", err)
	}
	checkStored(t, log, slices.Delete(messages, bad, bad+1), slices.Delete(seqs, bad, bad+1))
}

func TestAppendTogetherToAStreamWithoutBatches(t *testing.T) {
	s := startServer(t)
	log := s.log(t)
	open(t, log)
	js := s.js(t)
	st, err := js.Stream(t.Context(), subjects.Stream())
	if err != nil {
		t.Fatal(err)
	}
	cfg := st.CachedInfo().Config
	cfg.AllowAtomicPublish = false
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	messages := numbered(100)
	for name, know := range map[string]func(){"not known yet": func() {}, "known": func() { open(t, log) }} {
		t.Run(name, func(t *testing.T) {
			know()
			if seqs, errs := together(t, log, messages); errors.Join(errs...) != nil {
				t.Errorf("append: %v", errors.Join(errs...))
			} else {
				checkStored(t, log, messages, seqs)
			}
		})
	}
	if n := batched(t, s, 100); n != 0 {
		t.Errorf("%d messages came in batches", n)
	}
}

// A batch whose answer is held back is stored, and so are its messages, once.
func TestAppendTogetherUnanswered(t *testing.T) {
	s := startServer(t)
	p := startSilence(t, s.Addr().String())
	log := newLog(t, connect(t, p.url), stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
	open(t, log)
	direct := s.log(t)
	p.set(true)
	messages := numbered(60)
	var wg sync.WaitGroup
	wg.Go(func() {
		eventually(t, "singles are stored behind the silence", func() bool { return open(t, direct).Last >= 8 })
		p.set(false) // their answers let the others go
		eventually(t, "more are stored", func() bool { return open(t, direct).Last > 8 })
		p.set(true)
		<-time.After(1500 * time.Millisecond) // past the only attempt of a batch
		p.set(false)
	})
	seqs, errs := together(t, log, messages)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	checkStored(t, direct, messages, seqs)
}

// Who gives up before the turn has sent nothing.
func TestAppendTogetherGivesUp(t *testing.T) {
	s := startServer(t)
	p := startSilence(t, s.Addr().String())
	log := newLog(t, connect(t, p.url), stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
	open(t, log)
	direct := s.log(t)
	p.set(true)
	var wg sync.WaitGroup
	for _, m := range numbered(8) {
		wg.Go(func() { _, _ = log.Append(t.Context(), m) })
	}
	eventually(t, "all turns are taken", func() bool { return open(t, direct).Last == 8 })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := log.Append(ctx, events.Outgoing{Subject: key, ID: "late", Data: []byte("late")})
	if !errors.Is(err, events.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v", err)
	}
	p.set(false)
	wg.Wait()
	if info := open(t, direct); info.Last != 8 {
		t.Errorf("the log ends at %d, want 8", info.Last)
	}
}
