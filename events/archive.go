package events

import (
	"context"
	"time"
)

// Checkpoint tells of a kept snapshot without loading it.
type Checkpoint struct {
	// Name is the archive's own.
	Name string
	// StreamID is empty where it cannot be read, perhaps since it is still being written.
	StreamID string
	// Anchor is the state's position.
	Anchor Anchor
	// Taken is when it was written, with nanoseconds.
	Taken time.Time
	// Bytes is the stored size.
	Bytes uint64
}

// Archive is the place beside the log where several snapshots are kept as checkpoints (rules
// 20 to 22), so that the log's head can be trimmed. All replicas of a log share it.
// Implementations are safe for concurrent use. Errors without a name: it could not be reached.
type Archive interface {
	// Lease asks for, or prolongs, the right to save, remove and trim for so long. One replica
	// at a time has it; it saves work, nothing breaks if two believe to have it.
	Lease(ctx context.Context, ttl time.Duration) (bool, error)
	// List returns all checkpoints, in any order.
	List(ctx context.Context) ([]Checkpoint, error)
	// Load returns a checkpoint's snapshot. ErrNoSnapshot, ErrForeignSnapshot, ErrCorruptSnapshot.
	Load(ctx context.Context, name string) (Snapshot, error)
	// Save adds a snapshot as a checkpoint.
	Save(ctx context.Context, s Snapshot) error
	// Remove forgets a checkpoint; one that is not there is no error.
	Remove(ctx context.Context, name string) error
	// Trim removes the log's messages before sequence first. The log must be of that identity.
	Trim(ctx context.Context, streamID string, first uint64) error
	// Delete removes the log itself, which must be of that identity; the checkpoints stay.
	Delete(ctx context.Context, streamID string) error
}
