package events

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// maxChunks is the number of chunks of the largest genesis.
const maxChunks = maxGenesisBytes/chunkBytes + 1

// chunk is one decoded chunk message.
type chunk struct {
	genesis      string
	index, count int
	bytes        []byte
}

// decodeControl reads the envelope of a control message: its id and its data.
func decodeControl(data []byte, kind string) (string, object, error) {
	if len(data) > MaxEvent {
		return "", nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrEvent, len(data), MaxEvent)
	}
	o, err := readObject(data)
	if err != nil {
		return "", nil, err
	}
	for name, want := range map[string]string{"specversion": specVersion, "type": "sluice." + kind} {
		if got, err := o.text(name); err != nil || got != want {
			return "", nil, fmt.Errorf("%w: attribute %q: want %q", ErrEvent, name, want)
		}
	}
	id, err := o.text("id")
	if err != nil || id == "" {
		return "", nil, fmt.Errorf("%w: attribute %q: want a text", ErrEvent, "id")
	}
	raw, _ := o.get("data")
	if len(raw) == 0 || raw[0] != '{' {
		return "", nil, fmt.Errorf("%w: attribute %q: want a JSON object", ErrEvent, "data")
	}
	inner, err := readObject(raw)
	if err != nil {
		return "", nil, fmt.Errorf("attribute %q: %w", "data", err)
	}
	return id, inner, nil
}

func decodeChunk(data []byte) (chunk, error) {
	_, o, err := decodeControl(data, ControlChunk)
	if err != nil {
		return chunk{}, err
	}
	genesis, err := o.text("genesis")
	if err != nil || genesis == "" {
		return chunk{}, fmt.Errorf("%w: attribute %q: want a text", ErrEvent, "data.genesis")
	}
	index, err := o.uint("index")
	if err != nil {
		return chunk{}, err
	}
	count, err := o.uint("count")
	if err != nil {
		return chunk{}, err
	}
	if count > maxChunks || index >= count {
		return chunk{}, fmt.Errorf("%w: chunk %d of %d", ErrEvent, index, count)
	}
	raw, _ := o.get("bytes")
	body, err := unbase64(raw)
	if err != nil {
		return chunk{}, fmt.Errorf("%w: attribute %q: %w", ErrEvent, "data.bytes", err)
	}
	return chunk{genesis: genesis, index: int(index), count: int(count), bytes: body}, nil
}

// unbase64 reads a JSON string of standard base64, written without escapes.
func unbase64(raw []byte) ([]byte, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, fmt.Errorf("not a string")
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(raw)-2))
	n, err := base64.StdEncoding.Strict().Decode(out, raw[1:len(raw)-1])
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	return out[:n], nil
}

// decodeGenesis reads a genesis. The version is judged before anything else, since a
// later version may mean everything else differently: ErrFoldVersion.
func decodeGenesis(data []byte) (string, genesisData, error) {
	id, o, err := decodeControl(data, ControlGenesis)
	if err != nil {
		return "", genesisData{}, err
	}
	version, err := o.uint("version")
	if err != nil {
		return "", genesisData{}, err
	}
	if version != FoldVersion {
		return "", genesisData{}, fmt.Errorf("%w %d", ErrFoldVersion, version)
	}
	d := genesisData{Version: FoldVersion}
	var size uint64
	for _, a := range []struct {
		name string
		to   *uint64
	}{{"r", &d.R}, {"f", &d.F}, {"n", &d.N}, {"ref", &d.Ref}, {"bytes", &size}} {
		if *a.to, err = o.uint(a.name); err != nil {
			return "", genesisData{}, err
		}
	}
	if size > maxGenesisBytes || d.Ref >= maxRef {
		return "", genesisData{}, fmt.Errorf("%w: size or time of the genesis out of range", ErrEvent)
	}
	d.Bytes = int(size)
	if d.Force, err = o.flag("force"); err != nil {
		return "", genesisData{}, err
	}
	if d.Hash, err = o.text("hash"); err != nil {
		return "", genesisData{}, err
	}
	if d.Chunks, err = o.uints("chunks", maxChunks); err != nil {
		return "", genesisData{}, err
	}
	return id, d, nil
}

// uint is the required attribute name: a JSON number of digits alone, below 2^63.
func (o object) uint(name string) (uint64, error) {
	raw, _ := o.get(name)
	v, err := strconv.ParseUint(string(raw), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: attribute %q: want a whole number", ErrEvent, "data."+name)
	}
	return v, nil
}

// flag is the attribute name, false if absent.
func (o object) flag(name string) (bool, error) {
	raw, ok := o.get(name)
	switch {
	case !ok || string(raw) == "false":
		return false, nil
	case string(raw) == "true":
		return true, nil
	default:
		return false, fmt.Errorf("%w: attribute %q: want true or false", ErrEvent, "data."+name)
	}
}

// uints is the required attribute name: an array of at most limit whole numbers.
func (o object) uints(name string, limit int) ([]uint64, error) {
	raw, _ := o.get(name)
	bad := fmt.Errorf("%w: attribute %q: want an array of at most %d whole numbers", ErrEvent, "data."+name, limit)
	if len(raw) < 2 || raw[0] != '[' {
		return nil, bad
	}
	inner := strings.TrimSpace(string(raw[1 : len(raw)-1]))
	if inner == "" {
		return nil, nil
	}
	if strings.Count(inner, ",") >= limit {
		return nil, bad
	}
	var out []uint64
	for part := range strings.SplitSeq(inner, ",") {
		v, err := strconv.ParseUint(strings.TrimSpace(part), 10, 63)
		if err != nil {
			return nil, bad
		}
		out = append(out, v)
	}
	return out, nil
}
