package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/events"
)

// WriteFile replaces a file so that a crash leaves the old or the new content, never a
// part: temporary file, fsync, rename, fsync of the directory.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // gone already after the rename
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncDirOf(path string) error { return syncDir(filepath.Dir(path)) }

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkDirectory creates a directory if it is missing and tries to write in it. The error
// names the setting and the remedy.
func checkDirectory(path string, s setting) error {
	err := os.MkdirAll(path, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(path, ".writable.*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return s.problem(path, fmt.Sprintf("is not a writable directory (%v)", err), "create it, or choose another")
	}
	return nil
}

// diskSnapshots keeps the newest snapshot in the data directory.
type diskSnapshots struct{ path string }

var _ events.Snapshots = diskSnapshots{}

func (d diskSnapshots) Name() string { return "disk" }

func (d diskSnapshots) Save(_ context.Context, s events.Snapshot) error {
	data, err := s.Encode()
	if err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	return WriteFile(d.path, data, 0o600)
}

func (d diskSnapshots) Load(context.Context) (events.Snapshot, error) {
	data, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return events.Snapshot{}, events.ErrNoSnapshot
	}
	if err != nil {
		return events.Snapshot{}, fmt.Errorf("read snapshot: %w", err)
	}
	s, err := events.DecodeSnapshot(data)
	if err != nil {
		return events.Snapshot{}, fmt.Errorf("read snapshot %s: %w", d.path, err)
	}
	return s, nil
}
