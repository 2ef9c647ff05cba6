package events

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// prelude is what a fold knows of a log in which no genesis counts yet.
type prelude struct {
	streamID string
	ref      uint64   // greatest stream time so far, milliseconds
	waiting  []Effect // every message so far, events still without result
	chunks   chunkStore
}

// add takes the next message. It returns the state if that message is the genesis that
// counts, and then waiting holds the effects of all messages. ErrFoldVersion.
func (p *prelude) add(e *Effect, m Message, broken rule.Set) (*State, error) {
	var begun *State
	ref := max(p.ref, m.millis())
	switch e.Result {
	case ResultChunk:
		if c, err := decodeChunk(m.Data); err != nil {
			e.Result, e.Reason = ResultIgnored, err.Error()
		} else {
			p.chunks.add(m.Seq, c)
		}
	case ResultGenesis:
		var err error
		if begun, err = p.begin(m, ref, broken); errors.Is(err, ErrFoldVersion) {
			return nil, err
		} else if err != nil {
			e.Result, e.Reason = ResultInert, err.Error()
		}
	}
	p.ref = ref
	if begun != nil {
		p.replay(begun, broken)
		e.Reason = fmt.Sprintf("the log begins with %d entries", begun.Map.Len())
		begun.fold(e, m.millis(), broken)
		begun.Anchor = m.Anchor()
	}
	p.waiting = append(p.waiting, *e)
	return begun, nil
}

// begin is the state that the genesis m describes; an error says why it does not count
// (rule 7). ref is the greatest stream time up to m.
func (p *prelude) begin(m Message, ref uint64, broken rule.Set) (*State, error) {
	id, d, err := decodeGenesis(m.Data)
	if err != nil {
		return nil, err
	}
	params, ok := d.params()
	if !ok {
		return nil, fmt.Errorf("%w: fold parameters out of range", ErrGenesis)
	}
	if d.Ref < oldest(ref, params) && !d.Force && !broken.Has(rule.SeedAny) {
		return nil, fmt.Errorf("%w: its state is older than tombstones are kept", ErrGenesis)
	}
	body, err := p.chunks.assemble(id, d)
	if err != nil {
		return nil, err
	}
	entries := crdt.NewMap()
	if len(body) > 0 {
		if entries, err = decodeMap(body); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
		}
	}
	s := &State{StreamID: p.streamID, Params: params, Ref: d.Ref, Map: entries}
	if err := p.breakGenesis(s, broken); err != nil {
		return nil, err
	}
	return s, nil
}

// replay folds what came before the genesis over its map, in order and by the times at
// which it came.
func (p *prelude) replay(s *State, broken rule.Set) {
	for i := range p.waiting {
		e := &p.waiting[i]
		if broken.Has(rule.GenForgetsEarlier) && e.Result == "" {
			e.Result = ResultIgnored
		}
		s.fold(e, Message{Time: e.Time}.millis(), broken)
	}
}

// chunkStore keeps the chunks that a genesis may name, by sequence. Beyond
// maxGenesisBytes the oldest go: the log alone decides which those are, so all
// replicas drop the same ones.
type chunkStore struct {
	bySeq map[uint64]chunk
	order []uint64
	bytes int
}

// chunkCost is what a chunk counts beside its bytes, so that empty ones are bounded too.
const chunkCost = 512

func (c *chunkStore) add(seq uint64, ch chunk) {
	if c.bySeq == nil {
		c.bySeq = make(map[uint64]chunk)
	}
	c.bySeq[seq] = ch
	c.order = append(c.order, seq)
	c.bytes += len(ch.bytes) + chunkCost
	for c.bytes > maxGenesisBytes+maxChunks*chunkCost {
		first := c.order[0]
		c.bytes -= len(c.bySeq[first].bytes) + chunkCost
		delete(c.bySeq, first)
		c.order = c.order[1:]
	}
}

// assemble joins the chunks that genesis id names and checks them against its hash.
func (c *chunkStore) assemble(id string, d genesisData) ([]byte, error) {
	if len(d.Chunks) == 0 && d.Bytes == 0 {
		return nil, nil
	}
	body := make([]byte, 0, min(d.Bytes, c.bytes))
	for i, seq := range d.Chunks {
		ch, ok := c.bySeq[seq]
		if !ok || ch.genesis != id || ch.index != i || ch.count != len(d.Chunks) {
			return nil, fmt.Errorf("%w: chunk %d of %d is not at sequence %d", ErrGenesis, i, len(d.Chunks), seq)
		}
		body = append(body, ch.bytes...)
	}
	sum := sha256.Sum256(body)
	if len(body) != d.Bytes || hex.EncodeToString(sum[:]) != d.Hash {
		return nil, fmt.Errorf("%w: the chunks do not have the hash of the genesis", ErrGenesis)
	}
	return body, nil
}
