package events

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sluice/crdt"
)

const (
	// chunkBytes of the map go into one chunk: 120 KiB as base64, so that the message stays
	// below 128 KiB.
	chunkBytes = 90 << 10
	// maxGenesisBytes bounds the encoded map of a genesis, and what a fold keeps of the
	// chunks that it meets before a genesis.
	maxGenesisBytes = 256 << 20
	// maxRef is the greatest time in milliseconds that a genesis may claim (year 6429):
	// times are shifted by 16 bits into stamps.
	maxRef = 1 << 47
)

// ErrGenesis says why a genesis cannot be written.
var ErrGenesis = errors.New("invalid genesis")

// Genesis is the beginning of a log: parameters and the state to begin with. It is
// published as chunks that carry the map and, once these are stored, one message that
// names their sequences; only that one has an effect.
type Genesis struct {
	// ID is unique, e.g. a random text; up to 200 bytes.
	ID     string
	Params Params
	// Ref continues State.Ref, milliseconds since 1970; for a blank genesis the wall clock.
	Ref uint64
	// Force lets an operator's genesis count although its Ref is older than R.
	Force bool
	// Map may be empty. It must not change between Chunks and Message.
	Map *crdt.Map
}

// genesisData is the data of a genesis message. Durations are in milliseconds.
type genesisData struct {
	Version int      `json:"version"`
	R       uint64   `json:"r"`
	F       uint64   `json:"f"`
	N       uint64   `json:"n"`
	Ref     uint64   `json:"ref"`
	Force   bool     `json:"force"`
	Entries int      `json:"entries"`
	Bytes   int      `json:"bytes"`
	Hash    string   `json:"hash"`
	Chunks  []uint64 `json:"chunks"`
}

// chunkData is the data of a chunk message.
type chunkData struct {
	Genesis string `json:"genesis"`
	Index   int    `json:"index"`
	Count   int    `json:"count"`
	Bytes   string `json:"bytes"`
}

// Chunks returns the messages that carry the map, to be appended in this order; none
// for an empty map. The error wraps ErrGenesis.
func (g Genesis) Chunks(s Subjects) ([]Outgoing, error) {
	body, err := g.body()
	if err != nil {
		return nil, err
	}
	count := chunkCount(len(body))
	out := make([]Outgoing, 0, count)
	for i := range count {
		part := body[i*chunkBytes : min((i+1)*chunkBytes, len(body))]
		id := fmt.Sprintf("%s.%d", g.ID, i)
		m, err := control(s, ControlChunk, id, chunkData{
			Genesis: g.ID, Index: i, Count: count, Bytes: base64.StdEncoding.EncodeToString(part),
		})
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Message returns the genesis itself. chunkSeqs are the sequences at which the messages
// of Chunks were stored, in their order. The error wraps ErrGenesis.
func (g Genesis) Message(s Subjects, chunkSeqs []uint64) (Outgoing, error) {
	body, err := g.body()
	if err != nil {
		return Outgoing{}, err
	}
	if want := chunkCount(len(body)); len(chunkSeqs) != want {
		return Outgoing{}, fmt.Errorf("%w: %d chunk sequences for %d chunks", ErrGenesis, len(chunkSeqs), want)
	}
	hash := sha256.Sum256(body)
	return control(s, ControlGenesis, g.ID, genesisData{
		Version: g.Params.Version,
		R:       uint64(g.Params.R.Milliseconds()), F: uint64(g.Params.F.Milliseconds()), N: g.Params.N,
		Ref: g.Ref, Force: g.Force,
		Entries: g.Map.Len(), Bytes: len(body), Hash: hex.EncodeToString(hash[:]), Chunks: append([]uint64{}, chunkSeqs...),
	})
}

// body is the encoded map, empty for an empty one.
func (g Genesis) body() ([]byte, error) {
	switch {
	case g.ID == "" || len(g.ID) > maxName:
		return nil, fmt.Errorf("%w: the id has %d bytes, want 1 to %d", ErrGenesis, len(g.ID), maxName)
	case !g.Params.valid() || g.Params.Version != FoldVersion:
		return nil, fmt.Errorf("%w: parameters %+v", ErrGenesis, g.Params)
	case g.Ref >= maxRef:
		return nil, fmt.Errorf("%w: time %d is out of range", ErrGenesis, g.Ref)
	case g.Map.Len() == 0:
		return nil, nil
	}
	body := encodeMap(g.Map)
	if len(body) > maxGenesisBytes {
		return nil, fmt.Errorf("%w: the map has %d bytes, at most %d fit", ErrGenesis, len(body), maxGenesisBytes)
	}
	return body, nil
}

func chunkCount(bytes int) int { return (bytes + chunkBytes - 1) / chunkBytes }

// Tick is the message that keeps the log's time moving and an anchor in it. id is
// unique, e.g. the name of the replica and the hour.
func Tick(s Subjects, id string) Outgoing {
	// Strings always become JSON.
	m, _ := control(s, ControlTick, id, struct{}{})
	return m
}

func control(s Subjects, kind, id string, data any) (Outgoing, error) {
	raw, err := marshal(data)
	if err != nil {
		return Outgoing{}, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	msg, err := marshal(envelope{
		SpecVersion: specVersion, ID: id, Source: "sluice/" + s.Namespace, Type: "sluice." + kind,
		DataContentType: jsonType, Data: json.RawMessage(raw),
	})
	if err != nil {
		return Outgoing{}, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	return Outgoing{Subject: s.Control(kind), ID: id, Data: msg}, nil
}

// params turns the wire form back; false if a fold could not work with it.
func (d genesisData) params() (Params, bool) {
	const limit = uint64(maxParam / time.Millisecond)
	if d.R > limit || d.F > limit {
		return Params{}, false
	}
	p := Params{
		Version: d.Version, N: d.N,
		R: time.Duration(d.R) * time.Millisecond, F: time.Duration(d.F) * time.Millisecond,
	}
	return p, p.valid()
}
