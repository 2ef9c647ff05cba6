package events_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

func TestGenesisRule7(t *testing.T) {
	genesis := func(id string, list ...crdt.Entry) events.Genesis {
		return events.Genesis{ID: id, Params: params(), Ref: begin, Map: mapOf(list...)}
	}
	t.Run("before it there is no state and messages wait", func(t *testing.T) {
		b := newBook(t)
		b.write(1, raw("a", "x"))
		b.tick(2)
		if b.fold.State() != nil || len(b.effects) != 0 || b.fold.Next() != 3 {
			t.Errorf("state %v, effects %v", b.fold.State(), b.effects)
		}
	})
	t.Run("messages before it are folded over its map in order, with their own times", func(t *testing.T) {
		b := newBook(t)
		early := b.messagesOf(func() {
			b.write(10, raw("a", "raw"))
			b.write(12, put("b", at(12, 1), "new"))
			b.write(13, put("b", at(90, 1), "future when it came"))
			b.message(14, names.Event("service/c"), []byte("junk"))
		})
		b.genesis(100, genesis("g", put("a", at(2, 1), "old"), put("b", at(3, 1), "old")))
		var got []events.Result
		for i, e := range b.effects {
			got = append(got, e.Result)
			if e.Seq != uint64(i)+1 {
				t.Errorf("effect %d has sequence %d", i, e.Seq)
			}
		}
		want := []events.Result{"applied", "applied", "future", "ignored", "chunk", "genesis"}
		if diff := cmp.Diff(want, got); diff != "" || early != 4 {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		b.holds(put("a", crdt.Stamp{HLC: (begin + 10*second) << 16, Node: 1}, "raw"))
		b.holds(put("b", at(12, 1), "new"))
		if s := b.state(); s.Ref != begin+100*second || s.Anchor != b.messages[5].Anchor() || s.StreamID != "stream-1" || s.Params != params() {
			t.Errorf("state %+v", s)
		}
	})
	t.Run("its ref continues the old log's", func(t *testing.T) {
		b := newBook(t)
		g := genesis("g")
		g.Ref = begin + 1000*second
		b.write(1, put("a", at(1, 1), "older than the seed's R"))
		b.genesis(2, g)
		b.lacks("a")
		wantResult(t, b.effects[0], events.ResultExpired)
		if b.state().Ref != g.Ref {
			t.Errorf("ref %d", b.state().Ref)
		}
	})
	t.Run("entries of the map never expire and are never in the future", func(t *testing.T) {
		old, ahead := put("a", crdt.Stamp{HLC: 1, Node: 1 << 63}, "x"), put("b", at(9000, 1), "x")
		b := newBook(t)
		b.genesis(0, genesis("g", old, ahead, removal("c", at(399, 1))))
		b.holds(old)
		b.holds(ahead)
		b.holds(removal("c", at(399, 1)))
	})
	t.Run("old tombstones of the map go by rule 8, also at sequences before it", func(t *testing.T) {
		b := newBook(t)
		for range 5 {
			b.tick(402)
		}
		g := genesis("g", removal("a", at(1, 1)))
		g.Ref = begin + 300*second
		b.genesis(402, g)
		b.lacks("a")
	})
	t.Run("a second one is inert", func(t *testing.T) {
		b := newBook(t)
		b.genesis(0, genesis("g", put("a", at(1, 1), "first")))
		b.write(5, put("a", at(5, 1), "written"))
		wantResult(t, b.genesis(6, genesis("h", put("a", at(9, 1), "second"))), events.ResultInert)
		b.holds(put("a", at(5, 1), "written"))
		if b.state().Anchor != b.messages[len(b.messages)-1].Anchor() || b.state().Ref != begin+6*second {
			t.Error("its message does not move position and time")
		}
	})
	t.Run("one older than R is inert, the next may count", func(t *testing.T) {
		b := newBook(t)
		b.tick(401)
		stale := genesis("stale")
		b.genesis(1, stale)
		if b.fold.State() != nil {
			t.Fatal("it counts")
		}
		young := genesis("young")
		young.Ref = begin + 1*second
		wantResult(t, b.genesis(1, young), events.ResultGenesis)
		wantResult(t, b.effects[1], events.ResultInert)
	})
	t.Run("its own time counts for its age", func(t *testing.T) {
		b := newBook(t)
		b.genesis(401, genesis("stale"))
		if b.fold.State() != nil {
			t.Error("it counts")
		}
	})
	t.Run("an operator may force an old one", func(t *testing.T) {
		b := newBook(t)
		g := genesis("stale", put("a", at(0, 1), "x"))
		g.Force = true
		wantResult(t, b.genesis(4000, g), events.ResultGenesis)
		b.holds(put("a", at(0, 1), "x"))
	})
}

// messagesOf runs write and returns the number of messages that it appended.
func (b *book) messagesOf(write func()) int {
	before := len(b.messages)
	write()
	return len(b.messages) - before
}

// bulky is a map that does not compress: three chunks.
func bulky() *crdt.Map {
	m := crdt.NewMap()
	source := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		value := make([]byte, 3000)
		for j := range value {
			value[j] = byte('!' + source.IntN(90))
		}
		e := crdt.Entry{Key: fmt.Sprintf("service/s%d", i), Stamp: at(1, 1), Value: value}
		if i%10 == 0 {
			e.Deleted, e.Value = true, nil
		}
		m.Merge(e)
	}
	for i := range 2 { // the largest documents that an event can carry
		value := bytes.Repeat([]byte{'x'}, 255<<10)
		m.Merge(crdt.Entry{Key: fmt.Sprintf("service/l%d", i), Stamp: at(1, 1), Value: value})
	}
	return m
}

func TestGenesisInChunks(t *testing.T) {
	g := events.Genesis{ID: "g", Params: params(), Ref: begin, Map: bulky()}
	chunks, err := g.Chunks(names)
	if err != nil || len(chunks) < 2 {
		t.Fatalf("%d chunks, %v", len(chunks), err)
	}
	for i, c := range chunks {
		if len(c.Data) > 128<<10 || c.ID != fmt.Sprintf("g.%d", i) || c.Subject != names.Control(events.ControlChunk) {
			t.Errorf("chunk %d: id %s, %d bytes under %s", i, c.ID, len(c.Data), c.Subject)
		}
	}
	n := uint64(len(chunks))
	write := func(b *book, order ...int) {
		for _, i := range order {
			b.message(1, chunks[i].Subject, chunks[i].Data)
		}
	}
	finish := func(b *book, seqs ...uint64) *events.State {
		m, err := g.Message(names, seqs)
		if err != nil {
			t.Fatal(err)
		}
		b.message(2, m.Subject, m.Data)
		return b.fold.State()
	}
	all := func() (order []int, seqs []uint64) {
		for i := range chunks {
			order, seqs = append(order, i), append(seqs, uint64(i)+1)
		}
		return order, seqs
	}
	order, seqs := all()
	t.Run("the map comes back whole, other messages in between or not", func(t *testing.T) {
		b := newBook(t)
		b.tick(0)
		write(b, order...)
		write(b, 0) // a repeat
		for i := range seqs {
			seqs[i]++
		}
		s := finish(b, seqs...)
		if s == nil {
			t.Fatal("inert")
		}
		if !sameEntries(s.Map, g.Map) {
			t.Error("the map differs")
		}
	})
	order, seqs = all()
	for name, c := range map[string]struct {
		order []int
		seqs  []uint64
	}{
		"a chunk missing":      {order[:n-1], seqs},
		"chunks exchanged":     {append([]int{1, 0}, order[2:]...), seqs},
		"a chunk of the wrong": {append([]int{0, 0}, order[2:]...), seqs},
	} {
		t.Run("inert with "+name, func(t *testing.T) {
			b := newBook(t)
			write(b, c.order...)
			if finish(b, c.seqs...) != nil {
				t.Error("it counts")
			}
			wantResult(t, b.genesis(3, events.Genesis{ID: "h", Params: params(), Ref: begin, Map: crdt.NewMap()}), events.ResultGenesis)
		})
	}
	t.Run("inert with a chunk of the same shape but other bytes", func(t *testing.T) {
		b := newBook(t)
		data := strings.Replace(string(chunks[0].Data), `"bytes":"`, `"bytes":"AAAA`, 1)
		b.message(1, chunks[0].Subject, []byte(data))
		write(b, order[1:]...)
		if finish(b, seqs...) != nil {
			t.Error("it counts")
		}
	})
}

func TestGenesisThatCannotBeReadIsInert(t *testing.T) {
	g := events.Genesis{ID: "g", Params: params(), Ref: begin, Map: crdt.NewMap()}
	m, err := g.Message(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := string(m.Data)
	for name, change := range map[string][2]string{
		"not JSON":              {good, "junk"},
		"another type":          {"sluice.genesis", "sluice.service.put"},
		"no data":               {`"data"`, `"dat"`},
		"version as text":       {`"version":1`, `"version":"1"`},
		"no N":                  {`"n":5`, `"n":0`},
		"R as a fraction":       {`"r":400000`, `"r":4e5`},
		"R of a thousand years": {`"r":400000`, `"r":31557600000000`},
		"negative F":            {`"f":20000`, `"f":-1`},
		"ref beyond stamps":     {fmt.Sprintf(`"ref":%d`, begin), `"ref":9000000000000000000`},
		"ref twice":             {`"force"`, `"ref":1,"force"`},
		"force as number":       {`"force":false`, `"force":0`},
		"chunks as text":        {`"chunks":[]`, `"chunks":"1"`},
		"bytes without chunk":   {`"bytes":0`, `"bytes":7`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, change[0], change[1], 1)
			if bad == good {
				t.Fatal("the test changes nothing")
			}
			b := newBook(t)
			b.message(0, m.Subject, []byte(bad))
			if b.fold.State() != nil {
				t.Fatal("it counts")
			}
			b.message(0, m.Subject, []byte(good))
			wantResult(t, b.effects[0], events.ResultInert)
			b.state()
		})
	}
}

func TestGenesisRefusesToBeWritten(t *testing.T) {
	good := events.Genesis{ID: "g", Params: params(), Ref: begin, Map: crdt.NewMap()}
	for name, change := range map[string]func(*events.Genesis){
		"without id":             func(g *events.Genesis) { g.ID = "" },
		"of another version":     func(g *events.Genesis) { g.Params.Version = 2 },
		"without N":              func(g *events.Genesis) { g.Params.N = 0 },
		"with half milliseconds": func(g *events.Genesis) { g.Params.F += time.Microsecond },
		"beyond stamps":          func(g *events.Genesis) { g.Ref = 1 << 60 },
		"with too many chunks":   func(g *events.Genesis) { g.Map = mapOf(put("a", at(1, 1), "x"), put("b", at(1, 1), "x")) },
	} {
		t.Run(name, func(t *testing.T) {
			g := good
			change(&g)
			if _, err := g.Message(names, nil); !errors.Is(err, events.ErrGenesis) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestDefaultParams(t *testing.T) {
	want := events.Params{Version: 1, R: 720 * time.Hour, F: time.Minute, N: 256}
	if events.DefaultParams() != want {
		t.Errorf("parameters %+v", events.DefaultParams())
	}
	b := newBook(t)
	b.genesis(0, events.Genesis{ID: "g", Params: want, Ref: begin, Map: crdt.NewMap()})
	if b.state().Params != want {
		t.Errorf("of the log: %+v", b.state().Params)
	}
}
