package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"sluice/events"
)

// journal keeps pending changes in one file of records. Each append is on disk before the
// next one begins, so that a crash can tear off the last record alone, and that one was never
// promised. Whatever else cannot be read was damaged later: the file stays as it is then, for
// an operator to restore or to remove.
type journal struct {
	path     string
	log      zerolog.Logger
	openFile func(path string) (appended, error)

	count   atomic.Uint64
	skipped sync.Map // stamps of changes that cannot be written

	mu     sync.Mutex
	unread error    // why Load could not read the file, whose content nobody knows since
	file   appended // nil: not open since the start, Forget or a failure
	known  bool     // size is
	size   int64    // of the whole records
	// ends are where the records end that were appended after the mark from; the first of them
	// begins at start. What is before that was there at the start, or kept by Forget.
	ends  []int64
	from  uint64
	start int64
	// needed was the size after the last Forget; 0: there was none.
	needed  int64
	crowded atomic.Bool
}

// spare is how large a journal may be beyond twice its needs.
const spare = 1 << 20

var _ events.Journal = (*journal)(nil)

// appended is a file as far as it is appended to.
type appended interface {
	io.WriteCloser
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

func newJournal(path string, log zerolog.Logger) *journal {
	return &journal{path: path, log: log, openFile: func(path string) (appended, error) {
		return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	}}
}

// Append returns once the events are on disk.
func (j *journal) Append(list []events.Event) error {
	data, err := record(list)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.open(); err != nil {
		return fmt.Errorf("open %s: %w", j.path, err)
	}
	_, err = j.file.Write(data)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return j.undo(fmt.Errorf("write %s: %w", j.path, err))
	}
	j.size += int64(len(data))
	j.ends = append(j.ends, j.size)
	j.count.Add(1)
	j.measured()
	return nil
}

func (j *journal) measured() { j.crowded.Store(j.size > 2*j.needed+spare) }

// Crowded reports whether the file is more than twice as large as after the last Forget, and
// by 1 MiB.
func (j *journal) Crowded() bool { return j.crowded.Load() }

// undo takes out what a failed append may have written: nobody is told yes for it, so it must
// not be found after a restart.
func (j *journal) undo(failed error) error {
	err := j.file.Close()
	j.file = nil
	if opened := j.open(); opened != nil {
		return fmt.Errorf("%w, and it cannot be taken back: %w: %w", failed, opened, events.ErrUnknownOutcome)
	}
	return errors.Join(failed, err)
}

// open leaves nothing in the file but the whole records: behind anything else nothing would be
// read.
func (j *journal) open() error {
	if j.file != nil {
		return nil
	}
	if err := j.survey(); err != nil {
		return err
	}
	f, err := j.openFile(j.path)
	if err != nil {
		return err
	}
	if err := j.trim(f); err != nil {
		return errors.Join(err, f.Close())
	}
	j.file = f
	return nil
}

func (j *journal) trim(f appended) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch beyond := info.Size() - j.size; {
	case beyond < 0:
		j.known = false
		return errors.New("somebody has shortened it")
	case beyond > 0:
		if err := errors.Join(f.Truncate(j.size), f.Sync()); err != nil {
			return err
		}
		j.log.Warn().Str("file", j.path).Int64("at", j.size).Int64("bytes", beyond).Msg("cut off what was written in part at the journal's end and never accepted")
	}
	return syncDirOf(j.path)
}

// survey finds out what the file holds. It fails until Load has read it, or somebody has
// removed it, if Load could not.
func (j *journal) survey() error {
	if j.unread != nil {
		if _, err := os.Lstat(j.path); !errors.Is(err, fs.ErrNotExist) {
			return j.unread
		}
		j.unread = nil
	}
	if j.known {
		return nil
	}
	_, err := j.read()
	return err
}

// Load returns what was appended and not forgotten, oldest first.
func (j *journal) Load() ([]events.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	list, err := j.read()
	j.unread = err
	return list, err
}

func (j *journal) read() ([]events.Event, error) {
	data, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if j.known { // what is beyond was not kept
		data = data[:min(int64(len(data)), j.size)]
	}
	list, size, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", j.path, err)
	}
	if !j.known {
		j.known, j.size, j.start, j.ends, j.from = true, size, size, nil, j.count.Load()
		j.measured()
	}
	return list, nil
}

// Mark counts the calls of Append that are done.
func (j *journal) Mark() uint64 { return j.count.Load() }

// Forget removes what was there at the start, or kept before, and what had been appended up to
// the mark, but for the events to keep, as far as they can be written. A crash leaves all of the
// old or all of the new.
func (j *journal) Forget(mark uint64, keep []events.Event) error {
	kept := records(keep, j.skip)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.survey(); err != nil {
		return fmt.Errorf("open %s: %w", j.path, err)
	}
	passed, begin := j.passed(mark)
	rest, err := j.between(begin, j.size)
	if err != nil {
		return fmt.Errorf("read %s: %w", j.path, err)
	}
	if j.file != nil {
		err = j.file.Close()
		j.file = nil
	}
	if err := errors.Join(err, j.rewrite(append(kept, rest...))); err != nil {
		j.known = false // whether the old file or the new one is there
		j.needed = j.size
		j.measured() // to try again when that is worth it
		return err
	}
	j.moved(passed, begin, int64(len(kept)))
	return nil
}

// skip tells once of a change that no file can hold.
func (j *journal) skip(e events.Event, why error) {
	if _, told := j.skipped.LoadOrStore(e.Stamp, true); !told {
		j.log.Error().Err(why).Str("file", j.path).Str("key", e.Subject).Stringer("stamp", e.Stamp).Msg("a pending change cannot be kept over a restart")
	}
}

// moved: what began at begin, after so many of the records at ends, begins at start now.
func (j *journal) moved(passed int, begin, start int64) {
	j.from, j.ends = j.from+uint64(passed), append([]int64(nil), j.ends[passed:]...)
	for i := range j.ends {
		j.ends[i] += start - begin
	}
	j.start, j.size = start, j.size+start-begin
	j.needed = j.size
	j.measured()
}

// passed is how many of the records at ends a mark has passed, and where the next one begins.
func (j *journal) passed(mark uint64) (int, int64) {
	if mark <= j.from || len(j.ends) == 0 {
		return 0, j.start
	}
	n := min(mark-j.from, uint64(len(j.ends)))
	return int(n), j.ends[n-1]
}

// between is a part of the file.
func (j *journal) between(begin, end int64) ([]byte, error) {
	if begin == end {
		return nil, nil
	}
	f, err := os.Open(j.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, end-begin)
	_, err = io.ReadFull(io.NewSectionReader(f, begin, end-begin), data)
	return data, err
}

func (j *journal) rewrite(data []byte) error {
	if len(data) > 0 {
		return WriteFile(j.path, data, 0o600)
	}
	if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDirOf(j.path)
}
