package events

import (
	"context"
	"errors"
)

// Errors of a Snapshots store that a caller decides by.
var (
	// ErrNoSnapshot: the store was reached and holds none.
	ErrNoSnapshot = errors.New("no snapshot")
	// ErrForeignSnapshot: the snapshot belongs to another namespace.
	ErrForeignSnapshot = errors.New("snapshot of another namespace")
	// ErrCorruptSnapshot: a part is missing or does not have its checksum.
	ErrCorruptSnapshot = errors.New("corrupt snapshot")
)

// Snapshots keeps the newest snapshot of the state somewhere outside the log.
type Snapshots interface {
	// Name is shown in logs and status, e.g. "consul".
	Name() string
	// Save replaces the stored snapshot, unless that is of the same log and a later position.
	Save(ctx context.Context, s Snapshot) error
	// Load returns the stored snapshot. ErrNoSnapshot, ErrForeignSnapshot,
	// ErrCorruptSnapshot; any other error: the store could not be reached.
	Load(ctx context.Context) (Snapshot, error)
}
