package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// writer does what has to wait for the disk beside the loop, one job at a time. Its methods
// are for the loop's goroutine.
type writer struct {
	done chan error // nil: no job runs
	then func(error)
}

// start runs a job, and then, in the loop's goroutine again, what has to follow. The job
// before is waited for.
func (w *writer) start(job func() error, then func(error)) {
	w.wait()
	done := make(chan error, 1)
	w.done, w.then = done, then
	go func() { done <- job() }() // wait takes the result
}

// wait returns when no job runs.
func (w *writer) wait() {
	if w.done != nil {
		w.finish(<-w.done)
	}
}

func (w *writer) busy() bool { return w.done != nil }

func (w *writer) finish(err error) {
	w.done = nil
	w.then(err)
}

// writeEvery is how often at most the files follow changes of the running HAProxy.
const writeEvery = time.Second

// writeBehind brings the files in step with what commands have changed, so that whatever
// starts from them starts right. While something waits for a load, it leaves them: they
// would hold what HAProxy has not been asked about.
func (c *Controller) writeBehind() {
	if !c.unwritten || c.pending != "" || c.writer.busy() || time.Since(c.written) < writeEvery {
		return
	}
	c.unwritten, c.written = false, time.Now()
	snap, generation, before := c.model.snapshot(), c.generation, c.onDisk
	var files []File
	var digest string
	c.writer.start(func() error {
		r := snap.render()
		files, digest = r.at(generation), r.digest()
		return errors.Join(writeFiles(&c.cfg, files, before), clean(c.cfg.Options.CfgDir, files))
	}, func(err error) {
		if err != nil {
			c.log.Warn().Err(err).Msg("cannot write behind")
			c.unwritten, c.onDisk = true, nil
			return
		}
		c.onDisk, c.served, c.digest = files, files, digest
		c.publish(func(r *Report) { r.ConfigDigest = digest })
	})
}

// flush writes what is to be written now and waits for it.
func (c *Controller) flush() {
	c.writer.wait()
	c.written = time.Time{}
	c.writeBehind()
	c.writer.wait()
}

// write replaces the files that differ on disk.
func (c *Controller) write(files []File) error {
	err := writeFiles(&c.cfg, files, nil)
	if c.onDisk = nil; err == nil {
		c.onDisk = files
	}
	return err
}

// makeDirectories makes those that files and sockets are in, where they are missing: somebody may
// have removed them.
func makeDirectories(o *Options) error {
	for _, dir := range []string{o.CfgDir, filepath.Join(o.CfgDir, "maps"), filepath.Join(o.CfgDir, "certs"), o.runDir()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make directory: %w; give a writable one with --cfg-dir", err)
		}
	}
	return nil
}

// writeFiles replaces the files that differ on disk, the configuration itself last: it
// refers to the others. Those that equal the ones in before are known to be there.
func writeFiles(cfg *Config, files, before []File) error {
	if err := makeDirectories(&cfg.Options); err != nil {
		return err
	}
	ordered := slices.Clone(files)
	slices.SortStableFunc(ordered, func(a, b File) int { return boolOrder(a.Name == ConfigFile, b.Name == ConfigFile) })
	for _, f := range ordered {
		if slices.ContainsFunc(before, func(o File) bool { return o.Name == f.Name && bytes.Equal(o.Data, f.Data) }) {
			continue
		}
		path := filepath.Join(cfg.Options.CfgDir, f.Name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, f.Data) {
			continue
		}
		if err := cfg.WriteFile(path, f.Data, f.Mode); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
	}
	return nil
}

// clean removes maps and certificates that the configuration no longer refers to.
func clean(dir string, files []File) error {
	wanted := make(map[string]bool, len(files))
	for _, f := range files {
		wanted[f.Name] = true
	}
	var errs []error
	for _, sub := range []string{"maps", "certs"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		errs = append(errs, err)
		for _, e := range entries {
			if name := sub + "/" + e.Name(); !e.IsDir() && !wanted[name] {
				errs = append(errs, os.Remove(filepath.Join(dir, name)))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove old files: %w", err)
	}
	return nil
}

// generationIn is the generation that a configuration describes, 0 for none.
func generationIn(config []byte) uint64 {
	_, rest, _ := strings.Cut(string(config), "description gen-")
	digits, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
