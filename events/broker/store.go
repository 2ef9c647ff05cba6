package broker

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	identityFile = "identity"
	streamsDir   = "jetstream" // made by the server
	mode         = "standalone"
)

// identity is what a store remembers about itself: whoever opens it later has to fit.
type identity struct {
	// Mode is "standalone". A clustered server would delete a standalone store.
	Mode string
	// Name is the server's name, random, for the life of the store.
	Name string
	// MaxStore is the greatest limit that the store was opened with, in bytes.
	MaxStore int64
}

// store is a locked store directory.
type store struct {
	dir      string
	lock     *DirLock
	identity identity
}

// openStore creates, locks and checks the directory.
func openStore(ctx context.Context, cfg Config) (*store, error) {
	dir := cfg.StoreDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf(settingDataDir+": make %s: %w; choose a directory that this user can write", dir, err)
	}
	lock, err := LockDir(ctx, LockConfig{Dir: dir, Holder: "broker", Wait: cfg.LockWait, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	s := &store{dir: dir, lock: lock}
	if err := s.identify(cfg.MaxStore); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *store) close() error { return s.lock.Close() }

// identify reads or makes the identity and raises its limit. maxStore 0 chooses by the disk.
func (s *store) identify(maxStore int64) error {
	path := filepath.Join(s.dir, identityFile)
	id, err := readIdentity(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if id, err = s.newIdentity(); err != nil {
			return err
		}
	case err != nil:
		return err
	case id.Mode != mode:
		return fmt.Errorf(settingDataDir+": the store in %s belongs to a broker of mode %.40q, not %q, which would lose it; choose an empty directory", s.dir, id.Mode, mode)
	}
	if maxStore == 0 && id.MaxStore == 0 {
		if maxStore, err = freeShare(s.dir); err != nil {
			return err
		}
	}
	if maxStore > id.MaxStore {
		id.MaxStore = maxStore
		if err := writeIdentity(path, id); err != nil {
			return err
		}
	}
	s.identity = id
	return nil
}

func (s *store) newIdentity() (identity, error) {
	if _, err := os.Stat(filepath.Join(s.dir, streamsDir)); err == nil {
		return identity{}, fmt.Errorf(settingDataDir+": %s holds a NATS store without %s file, so another program made it; choose an empty directory", s.dir, identityFile)
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return identity{}, fmt.Errorf("make broker name: %w", err)
	}
	return identity{Mode: mode, Name: "sluice-" + hex.EncodeToString(b[:])}, nil
}

// freeShare is 80 % of the free space, at most 8 GiB.
func freeShare(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf(settingDataDir+": ask %s for free space: %w", dir, err)
	}
	share := int64(min(fs.Bavail*uint64(fs.Bsize)/5*4, uint64(defaultMaxStore)))
	if share < MinStore {
		return 0, fmt.Errorf(settingDataDir+": the disk of %s has too little free space: 80 %% of it are %d bytes, the log needs at least %d", dir, share, MinStore)
	}
	return share, nil
}

func readIdentity(path string) (identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return identity{}, fmt.Errorf(settingDataDir+": read broker identity: %w", err)
	}
	defer f.Close()
	var id identity
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch name {
		case "mode":
			id.Mode = value
		case "name":
			id.Name = value
		case "max_store":
			if id.MaxStore, err = strconv.ParseInt(value, 10, 64); err != nil || id.MaxStore < 0 {
				return identity{}, fmt.Errorf(settingDataDir+": %s: max_store %.40q is not a number of bytes", path, value)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return identity{}, fmt.Errorf(settingDataDir+": read broker identity: %w", err)
	}
	if id.Mode == "" || id.Name == "" {
		return identity{}, fmt.Errorf(settingDataDir+": %s names no mode or no name; restore the file, or choose an empty directory", path)
	}
	return id, nil
}

// writeIdentity replaces the file as a whole: a torn one would lock its owner out.
func writeIdentity(path string, id identity) error {
	text := fmt.Sprintf("mode=%s\nname=%s\nmax_store=%d\n", id.Mode, id.Name, id.MaxStore)
	if err := replaceFile(path, []byte(text)); err != nil {
		return fmt.Errorf(settingDataDir+": write broker identity: %w", err)
	}
	return nil
}

func replaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // does nothing after the rename
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
