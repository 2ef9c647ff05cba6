package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

const (
	lockFile     = "lock"
	lockInterval = 250 * time.Millisecond
	maxHolder    = 200 // bytes of a lock file that are shown
)

// LockConfig says which directory is locked, and for whom.
type LockConfig struct {
	// Dir is there already.
	Dir string
	// Holder is what those are told who find it locked, e.g. "replica a".
	Holder string
	// Wait is how long another process may take to leave; 0: it must not be there.
	Wait   time.Duration
	Logger zerolog.Logger
}

// DirLock keeps other processes that ask for it out of a directory, until it is closed or the
// process has ended, however that came about.
type DirLock struct{ file *os.File }

// LockDir locks a directory by flock(2) of the file "lock" in it, which names the holder. Where
// the file system has no such locks it warns and goes on. Errors name the setting, the holder
// and the remedy; or ctx has ended.
func LockDir(ctx context.Context, cfg LockConfig) (*DirLock, error) {
	return lockDir(ctx, cfg, flock)
}

func lockDir(ctx context.Context, cfg LockConfig, flock func(*os.File) error) (*DirLock, error) {
	path := filepath.Join(cfg.Dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf(settingDataDir+": open %s: %w; choose a directory that this user can write", path, err)
	}
	l := &DirLock{file: f}
	err = flock(f)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = l.await(ctx, cfg, flock)
	}
	switch {
	case err == nil:
		l.sign(cfg.Holder)
	case unsupported(err):
		cfg.Logger.Warn().Err(err).Str("dir", cfg.Dir).Msg("the file system of the data directory knows no locks: make sure that no other process uses that directory")
	default:
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// await waits for the process that has the lock.
func (l *DirLock) await(ctx context.Context, cfg LockConfig, flock func(*os.File) error) error {
	if cfg.Wait > 0 {
		cfg.Logger.Warn().Str("dir", cfg.Dir).Str("holder", l.holder()).Dur("for", cfg.Wait).
			Msg("not ready: the data directory is in use by another process, waiting for that to stop")
	}
	end := time.NewTimer(cfg.Wait)
	defer end.Stop()
	again := time.NewTicker(lockInterval)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf(settingDataDir+": wait for %s, which is in use by %s: %w", cfg.Dir, l.holder(), ctx.Err())
		case <-end.C:
			return fmt.Errorf(settingDataDir+": %s is in use by another process (%s; waited %s): stop that, or give each process a directory or volume of its own; of tasks that share a volume one may run at a time: one task a node, and update order stop-first",
				cfg.Dir, l.holder(), cfg.Wait)
		case <-again.C:
		}
		err := flock(l.file)
		if err == nil {
			cfg.Logger.Info().Str("dir", cfg.Dir).Msg("the other process has left the data directory")
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
	}
}

// sign writes who holds the lock. That is for people: on a full disk it holds all the same.
func (l *DirLock) sign(holder string) {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	_ = l.file.Truncate(0)
	_, _ = l.file.WriteAt(fmt.Appendf(nil, "%s, process %d on %s", holder, os.Getpid(), host), 0)
}

// holder is what the holder wrote.
func (l *DirLock) holder() string {
	text, err := io.ReadAll(io.NewSectionReader(l.file, 0, maxHolder))
	if err != nil || len(text) == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%q", text)
}

// Close unlocks the directory. A nil lock is none.
func (l *DirLock) Close() error {
	if l == nil {
		return nil
	}
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("unlock %s: %w", filepath.Dir(l.file.Name()), err)
	}
	return nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		return nil
	}
}

// unsupported: some network file systems have no locks, or none now.
func unsupported(err error) bool {
	for _, no := range []error{syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.ENOLCK} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}
