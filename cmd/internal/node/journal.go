package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"sluice/events"
)

// journal keeps pending changes in one file of records: length and CRC-32C (32 bits each,
// big endian), then the encoded events. A record that a crash tore off was never promised.
type journal struct {
	path string

	count atomic.Uint64

	mu   sync.Mutex
	file *os.File // open for appending; nil: nothing was appended since the start or Forget
	// later are the records that were appended after the mark from.
	later [][]byte
	from  uint64
}

var _ events.Journal = (*journal)(nil)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const recordHead = 8

func newJournal(path string) *journal { return &journal{path: path} }

func record(list []events.Event) ([]byte, error) {
	body, err := events.EncodeEvents(list)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, recordHead+len(body))
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(body, castagnoli))
	return append(out, body...), nil
}

// Append returns once the events are on disk.
func (j *journal) Append(list []events.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.open(); err != nil {
		return fmt.Errorf("open %s: %w", j.path, err)
	}
	data, err := record(list)
	if err != nil {
		return err
	}
	_, err = j.file.Write(data)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil { // half a record would hide those after it
		return errors.Join(fmt.Errorf("write %s: %w", j.path, err), j.mend())
	}
	j.later = append(j.later, data)
	j.count.Add(1)
	return nil
}

func (j *journal) open() error {
	if j.file != nil {
		return nil
	}
	list, size, err := j.read()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	j.file = f
	if info, err := f.Stat(); err != nil || info.Size() != size {
		return errors.Join(err, f.Truncate(size)) // behind what was torn nothing would be read
	}
	if len(list) == 0 {
		return syncDirOf(j.path)
	}
	return nil
}

// mend leaves only whole records.
func (j *journal) mend() error {
	err := j.file.Close()
	j.file = nil
	list, _, readErr := j.read()
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	data, encodeErr := record(list)
	if encodeErr != nil {
		return errors.Join(err, encodeErr)
	}
	return errors.Join(err, WriteFile(j.path, data, 0o600))
}

// Load returns what was appended and not forgotten, oldest first.
func (j *journal) Load() ([]events.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	list, _, err := j.read()
	return list, err
}

// read returns the entries of all whole records, and how many bytes these take.
func (j *journal) read() ([]events.Event, int64, error) {
	data, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var list []events.Event
	size := int64(0)
	for len(data) >= recordHead {
		n := int(binary.BigEndian.Uint32(data))
		if n > len(data)-recordHead {
			break
		}
		body := data[recordHead:][:n]
		if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(data[4:]) {
			break
		}
		some, err := events.DecodeEvents(body)
		if err != nil {
			return nil, 0, fmt.Errorf("read %s: %w", j.path, err)
		}
		list, data, size = append(list, some...), data[recordHead+n:], size+int64(recordHead+n)
	}
	return list, size, nil
}

// Mark counts the calls of Append that are done.
func (j *journal) Mark() uint64 { return j.count.Load() }

// Forget removes what was there at the start, and what had been appended up to the mark.
func (j *journal) Forget(mark uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var err error
	if j.file != nil {
		err = j.file.Close()
		j.file = nil
	}
	if rest := j.later[min(mark-j.from, uint64(len(j.later))):]; len(rest) > 0 {
		j.later, j.from = rest, mark
		return errors.Join(err, WriteFile(j.path, bytes.Join(rest, nil), 0o600))
	}
	j.later, j.from = nil, mark
	if removed := os.Remove(j.path); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		return errors.Join(err, removed)
	}
	return errors.Join(err, syncDirOf(j.path))
}
