package broker

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

func TestLockDirWhereThereAreNoLocks(t *testing.T) {
	for _, no := range []error{syscall.ENOLCK, syscall.ENOSYS, syscall.EOPNOTSUPP} {
		var log bytes.Buffer
		l, err := lockDir(t.Context(), LockConfig{Dir: t.TempDir(), Logger: zerolog.New(&log)}, func(f *os.File) error {
			return &os.PathError{Op: "lock", Path: f.Name(), Err: no}
		})
		if err != nil || !strings.Contains(log.String(), "knows no locks") {
			t.Errorf("%v: %v, log %q", no, err, log.String())
		}
		_ = l.Close()
	}
	_, err := lockDir(t.Context(), LockConfig{Dir: t.TempDir(), Logger: zerolog.Nop()}, func(*os.File) error { return syscall.EIO })
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("a disk that fails: %v", err)
	}
}
