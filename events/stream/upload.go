package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

// uploadWindow is how many parts of 128 KiB may be under way: 32 MiB. A server refuses what it
// did not get to store beyond 128 MiB, and the library sends as fast as the network takes it.
const uploadWindow = 256

// put stores an object in two steps: without metadata, and once it was read back, with it. So
// what a list tells an anchor of is whole; what an upload leaves that failed, and could not even
// be removed, has none.
func (a *Archive) put(ctx context.Context, b *objects, meta jetstream.ObjectMeta, data []byte) error {
	err := a.upload(ctx, b, meta.Name, data)
	if err == nil {
		err = a.confirm(ctx, b, meta, data)
	}
	if err != nil {
		return errors.Join(err, a.Remove(context.WithoutCancel(ctx), meta.Name))
	}
	return nil
}

func (a *Archive) upload(ctx context.Context, b *objects, name string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, wholeObject(uint64(len(data))))
	defer cancel()
	si, err := b.stream.Info(ctx)
	if err != nil {
		return a.log.readError("ask for bucket of checkpoints", err)
	}
	r := &paced{ctx: ctx, stream: b.stream, data: bytes.NewReader(data), stored: si.State.LastSeq, wait: uploadWindow}
	if _, err := b.store.Put(ctx, jetstream.ObjectMeta{Name: name}, r); err != nil {
		return a.log.serverError("store object", err)
	}
	return nil
}

// confirm reads the object back and gives it its metadata. A part that the library sends again,
// because the bucket had no leader just then, has the content of a later one, and a copy of the
// bucket may lag for long: the next upload does better.
func (a *Archive) confirm(ctx context.Context, b *objects, meta jetstream.ObjectMeta, data []byte) error {
	back, err := a.readBack(ctx, b, meta.Name)
	if err == nil && !bytes.Equal(back, data) {
		err = fmt.Errorf("%w: it reads back differently", events.ErrCorruptSnapshot)
	}
	if errors.Is(err, events.ErrCorruptSnapshot) {
		return fmt.Errorf("%w: stored otherwise than it was sent, save it again: %v", events.ErrUnavailable, err)
	}
	if errors.Is(err, events.ErrNoSnapshot) {
		return fmt.Errorf("%w: what was stored cannot be read back yet, save it again: %v", events.ErrUnavailable, err)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := b.store.UpdateMeta(ctx, meta.Name, meta); err != nil {
		return a.log.serverError("store metadata of object", err)
	}
	return nil
}

// readBack waits until the copy of the bucket that answers knows of the object.
func (a *Archive) readBack(ctx context.Context, b *objects, name string) ([]byte, error) {
	waiting, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	for {
		info, err := a.info(waiting, b, name)
		if err == nil {
			return a.read(ctx, b, info)
		}
		if !errors.Is(err, events.ErrNoSnapshot) || !pause(waiting) {
			return nil, err
		}
	}
}

// paced gives the library no more than uploadWindow parts that are not stored yet; each of its
// reads is one.
type paced struct {
	ctx    context.Context // of the upload, which reads
	stream jetstream.Stream
	data   *bytes.Reader
	// stored is the sequence before the first part.
	stored uint64
	parts  uint64
	// wait is the number of parts before which it is asked what is stored.
	wait uint64
}

func (p *paced) Read(b []byte) (int, error) {
	for p.parts >= p.wait {
		si, err := p.stream.Info(p.ctx)
		if err != nil {
			return 0, fmt.Errorf("ask what is stored: %w", err)
		}
		p.wait = si.State.LastSeq - min(p.stored, si.State.LastSeq) + uploadWindow
		if p.parts >= p.wait && !pause(p.ctx) {
			return 0, fmt.Errorf("wait until parts are stored: %w", p.ctx.Err())
		}
	}
	p.parts++
	return p.data.Read(b)
}

var _ io.Reader = (*paced)(nil)
