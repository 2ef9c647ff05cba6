package events_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"sluice/crdt"
	"sluice/events"
)

func snapshot(t testing.TB, m *crdt.Map) events.Snapshot {
	t.Helper()
	return events.Snapshot{
		Namespace: "docker-flow",
		Taken:     time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		State: &events.State{
			StreamID: "id-1", Params: params(), Ref: begin, Map: m,
			Anchor: events.Anchor{Seq: 77, Time: int64(begin)*1e6 + 5, Hash: [16]byte{1, 2, 15: 3}},
		},
	}
}

func encoded(t testing.TB, s events.Snapshot) []byte {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSnapshotComesBack(t *testing.T) {
	for name, m := range map[string]*crdt.Map{
		"empty":   crdt.NewMap(),
		"few":     mapOf(put("a", at(1, 1), "x"), removal("b", at(2, 1)), put("c", crdt.Stamp{HLC: math.MaxUint64, Node: 3}, "y")),
		"blocks":  bulky(),
		"no data": mapOf(crdt.Entry{Key: "k/a", Stamp: at(1, 1)}),
	} {
		t.Run(name, func(t *testing.T) {
			want := snapshot(t, m)
			data := encoded(t, want)
			got, err := events.DecodeSnapshot(data)
			if err != nil {
				t.Fatal(err)
			}
			if got.Namespace != want.Namespace || !got.Taken.Equal(want.Taken) || !sameEntries(got.State.Map, m) {
				t.Errorf("%s of %s with %d entries", got.Namespace, got.Taken, got.State.Map.Len())
			}
			want.State.Map, got.State.Map = nil, nil
			if diff := cmp.Diff(want.State, got.State); diff != "" {
				t.Errorf("state differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSnapshotBytesAreThoseOfTheState(t *testing.T) {
	a := snapshot(t, mapOf(put("a", at(1, 1), "x"), put("b", at(2, 1), "y")))
	b := snapshot(t, mapOf(put("b", at(2, 1), "y"), put("a", at(1, 1), "x")))
	if !bytes.Equal(encoded(t, a), encoded(t, b)) {
		t.Error("the order of the merges shows")
	}
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	data := encoded(t, snapshot(t, mapOf(put("a", at(1, 1), "x"))))
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x10
		_, err := events.DecodeSnapshot(bad)
		if !errors.Is(err, events.ErrCorruptSnapshot) && !(i == 7 && errors.Is(err, events.ErrSnapshotVersion)) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := events.DecodeSnapshot(data[:i]); !errors.Is(err, events.ErrCorruptSnapshot) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

// signedBody is a snapshot with the given message and a right checksum.
func signedBody(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(append([]byte("sluice\x00\x01"), sum[:]...), body...)
}

const bodyStart = 8 + sha256.Size

func TestSnapshotSkipsUnknownFields(t *testing.T) {
	body := bytes.Clone(encoded(t, snapshot(t, mapOf(put("a", at(1, 1), "x"))))[bodyStart:])
	body = protowire.AppendBytes(protowire.AppendTag(body, 100, protowire.BytesType), []byte("later"))
	body = protowire.AppendFixed32(protowire.AppendTag(body, 101, protowire.Fixed32Type), 7)
	got, err := events.DecodeSnapshot(signedBody(body))
	if err != nil || got.State.Map.Len() != 1 {
		t.Errorf("%v", err)
	}
}

func TestSnapshotWithWrongContentIsRefused(t *testing.T) {
	good := encoded(t, snapshot(t, crdt.NewMap()))[bodyStart:]
	number := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(bytes.Clone(good), num, protowire.VarintType), v)
	}
	text := func(num protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(bytes.Clone(good), num, protowire.BytesType), v)
	}
	// A map of one block that holds the given entries.
	withBlock := func(packed []byte) []byte {
		m := protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), packed)
		withoutMap := good[:len(good)-len(lastField(good))]
		return protowire.AppendBytes(protowire.AppendTag(bytes.Clone(withoutMap), 9, protowire.BytesType), m)
	}
	huge := protowire.AppendVarint(nil, 1<<31)
	for name, body := range map[string][]byte{
		"empty":                     {},
		"no namespace":              text(1, nil),
		"anchor hash of 15 bytes":   text(8, make([]byte, 15)),
		"anchor hash of 17 bytes":   text(8, make([]byte, 17)),
		"ref beyond stamps":         number(5, 1<<60),
		"anchor before 1970":        number(7, math.MaxUint64),
		"parameters empty":          text(4, nil),
		"fold version 65537":        text(4, append(protowire.AppendVarint([]byte{8}, 65537), goodParams(good)[2:]...)),
		"second map":                text(9, nil),
		"block that is no s2":       withBlock([]byte{9, 9, 9, 9}),
		"block of 2 GiB, they say":  withBlock(append(huge, 1, 2, 3)),
		"block with a broken entry": withBlock(s2.Encode(nil, []byte{0x0a, 0x05, 1})),
		"entry without key":         withBlock(s2.Encode(nil, []byte{0x0a, 0x00})),
		"block not announced":       withBlock(blockOf(put("a", at(1, 1), "x"))),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := events.DecodeSnapshot(signedBody(body)); !errors.Is(err, events.ErrCorruptSnapshot) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// lastField is the last field of a message, tag included.
func lastField(message []byte) []byte {
	last := message
	for rest := message; len(rest) > 0; {
		last = rest
		_, _, n := protowire.ConsumeField(rest)
		rest = rest[n:]
	}
	return last
}

// goodParams is the content of field 4.
func goodParams(message []byte) []byte {
	for rest := message; len(rest) > 0; {
		num, kind, n := protowire.ConsumeTag(rest)
		if num == 4 {
			b, _ := protowire.ConsumeBytes(rest[n:])
			return b
		}
		rest = rest[n+protowire.ConsumeFieldValue(num, kind, rest[n:]):]
	}
	return nil
}

func blockOf(e crdt.Entry) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), e.Key)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 2, protowire.Fixed64Type), e.Stamp.HLC)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 3, protowire.Fixed64Type), e.Stamp.Node)
	b = protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), e.Value)
	return s2.Encode(nil, protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b))
}

func TestSnapshotWithoutStateIsNotWritten(t *testing.T) {
	for name, s := range map[string]events.Snapshot{
		"no state":     {Namespace: "a"},
		"no map":       {Namespace: "a", State: &events.State{Params: params()}},
		"no namespace": {State: stateOf(1)},
		"no params":    {Namespace: "a", State: &events.State{Map: crdt.NewMap()}},
	} {
		if _, err := s.Encode(); err == nil {
			t.Errorf("%s: it is written", name)
		}
	}
}

// The checksum is put right, so that the fuzzer gets behind it.
func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(encoded(f, snapshot(f, crdt.NewMap()))[bodyStart:])
	f.Add(encoded(f, snapshot(f, mapOf(put("a", at(1, 1), "x"), removal("b", at(2, 1)))))[bodyStart:])
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = events.DecodeSnapshot(body) // as it is: must not panic
		s, err := events.DecodeSnapshot(signedBody(body))
		if err != nil {
			if !errors.Is(err, events.ErrCorruptSnapshot) {
				t.Errorf("error without sentinel: %v", err)
			}
			return
		}
		back, err := events.DecodeSnapshot(encoded(t, s))
		if err != nil || back.Namespace != s.Namespace || !back.Taken.Equal(s.Taken) {
			t.Fatalf("%v: %+v became %+v", err, s, back)
		}
		wantSameState(t, back.State, s.State)
	})
}
