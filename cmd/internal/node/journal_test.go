package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"sluice/crdt"
	"sluice/events"
)

func kept(key string) events.Event {
	e := events.EntryEvent("test", crdt.Entry{Key: "service/" + key, Stamp: crdt.Stamp{HLC: 7, Node: 1<<63 | 1}, Value: []byte(`{"v":1}`)})
	e.Actor = "ci"
	return e
}

func quiet(path string) *journal { return newJournal(path, zerolog.Nop()) }

func keys(t *testing.T, j *journal) []string {
	t.Helper()
	list, err := j.Load()
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, e := range list {
		out = append(out, e.Subject)
	}
	return out
}

func write(t *testing.T, j *journal, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := j.Append([]events.Event{kept(name)}); err != nil {
			t.Fatal(err)
		}
	}
}

func holds(t *testing.T, path string, want ...string) {
	t.Helper()
	full := []string{}
	for _, w := range want {
		full = append(full, "service/"+w)
	}
	if diff := cmp.Diff(full, keys(t, quiet(path))); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	j := quiet(path)
	holds(t, path)
	write(t, j, "a", "b")
	holds(t, path, "a", "b")
	mark := j.Mark()
	write(t, j, "c")
	if err := j.Forget(mark, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "c")
	write(t, j, "d")
	holds(t, path, "c", "d")
	again := quiet(path)
	write(t, again, "e")
	holds(t, path, "c", "d", "e")
	if err := again.Forget(again.Mark(), nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("an empty journal is a file: %v", err)
	}
}

// What is kept outlives the mark, and so does what came after it.
func TestJournalKeeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	j := quiet(path)
	write(t, j, "a", "b")
	first := j.Mark()
	write(t, j, "c")
	if err := j.Forget(first, []events.Event{kept("a")}); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "a", "c")
	write(t, j, "d")
	if err := j.Forget(first+1, []events.Event{kept("b"), kept("a")}); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "b", "a", "d")
	if err := j.Forget(j.Mark(), nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path)
	write(t, j, "e")
	holds(t, path, "e")
}

// The file follows what is needed, not what was once needed.
func TestJournalCrowded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	j := quiet(path)
	big := func(i int) []events.Event {
		e := kept(fmt.Sprint("s", i%4))
		e.Data = []byte(`{"v":"` + strings.Repeat("x", 100<<10) + `"}`)
		return []events.Event{e}
	}
	times := 0
	for i := range 60 {
		if err := j.Append(big(i)); err != nil {
			t.Fatal(err)
		}
		if size := len(content(t, path)); size > 2*4*101<<10+spare+101<<10 {
			t.Fatalf("%d bytes", size)
		}
		if !j.Crowded() {
			continue
		}
		times++
		if err := j.Forget(j.Mark(), slices.Concat(big(0), big(1), big(2), big(3))); err != nil {
			t.Fatal(err)
		}
		if j.Crowded() || len(j.ends) > 0 {
			t.Errorf("crowded still %v, %d offsets in memory", j.Crowded(), len(j.ends))
		}
	}
	if times < 3 || times > 10 {
		t.Errorf("written anew %d times for 60 appends", times)
	}
}

// One change that no record can hold keeps back none of the others, and is told of once.
func TestJournalKeepsWhatFits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	var log bytes.Buffer
	j := newJournal(path, zerolog.New(&log))
	write(t, j, "a")
	unfit := kept("unfit")
	unfit.Data = []byte(`{"v":"` + strings.Repeat("x", events.MaxEvent) + `"}`)
	for range 2 {
		if err := j.Forget(j.Mark(), []events.Event{kept("b"), unfit, kept("c")}); err != nil {
			t.Fatal(err)
		}
		holds(t, path, "b", "c")
	}
	if n := strings.Count(log.String(), `"level":"error"`); n != 1 || !strings.Contains(log.String(), "service/unfit") {
		t.Errorf("%d errors: %s", n, log.String())
	}
	if err := j.Append([]events.Event{unfit}); err == nil {
		t.Error("appended what cannot be written: somebody is told that it is kept")
	}
	if err := j.Forget(j.Mark(), []events.Event{unfit}); err != nil {
		t.Fatal(err)
	}
	holds(t, path)
}

// What an older program has kept is larger than what is accepted now.
func TestJournalOfAnOlderProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	large := kept("large")
	large.Data = []byte(`{"v":"` + strings.Repeat("x", events.MaxValue) + `"}`)
	if err := quiet(path).Append([]events.Event{kept("a"), large}); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "a", "large")
}

// What a full disk keeps from being rewritten is what it was.
func TestJournalThatCannotBeRewritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pending.journal")
	j := quiet(path)
	write(t, j, "a", "b")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := j.Forget(1, []events.Event{kept("c")}); err == nil {
		t.Error("rewritten in a directory that is not there")
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "a", "b")
	write(t, j, "d")
	holds(t, path, "a", "b", "d")
	if err := j.Forget(j.Mark(), []events.Event{kept("b")}); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "b")
}

// What a crash tore off hides neither what was before nor what comes after.
func TestJournalTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	write(t, quiet(path), "a", "b")
	data := content(t, path)
	half := len(data) / 2
	for cut := range half {
		for _, left := range [][]byte{data[:half+cut], append(data[:half:half], make([]byte, cut)...)} {
			if err := os.WriteFile(path, left, 0o600); err != nil {
				t.Fatal(err)
			}
			holds(t, path, "a")
			var log bytes.Buffer
			write(t, newJournal(path, zerolog.New(&log)), "c")
			holds(t, path, "a", "c")
			if told := strings.Contains(log.String(), fmt.Sprintf(`"bytes":%d,`, cut)); told != (cut > 0) {
				t.Errorf("%d bytes were cut off: %s", cut, log.String())
			}
		}
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A record that has something behind it was on disk once: that it cannot be read any more is
// no reason to throw away what follows it.
func TestJournalDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	write(t, quiet(path), "a", "b", "c")
	data := content(t, path)
	each := len(data) / 3
	for i := range 2 * each {
		damaged := bytes.Clone(data)
		damaged[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := quiet(path).Load()
		where := fmt.Sprintf("%s: it is damaged at byte %d of", path, i/each*each)
		if err == nil || !strings.Contains(err.Error(), where) {
			t.Fatalf("bit flipped in byte %d: %v, want %q", i, err, where)
		}
		refuses(t, quiet(path), damaged)
	}
	for i := 2 * each; i < len(data); i++ { // the last one may have been torn off
		damaged := bytes.Clone(data)
		damaged[i] ^= 0xff
		if list, _, err := parse(damaged); err == nil && len(list) != 2 {
			t.Errorf("byte %d damaged: %d events", i, len(list))
		}
	}
}

// refuses reports what changes a file that cannot be read.
func refuses(t *testing.T, j *journal, want []byte) {
	t.Helper()
	if err := j.Append([]events.Event{kept("x")}); err == nil {
		t.Error("appended behind what cannot be read")
	}
	if err := j.Forget(j.Mark(), nil); err == nil {
		t.Error("forgot what it has never read")
	}
	if got := content(t, j.path); !bytes.Equal(got, want) {
		t.Errorf("the file has %d bytes, want %d, or others", len(got), len(want))
	}
}

// What cannot be read stays until somebody has restored or removed it; what was restored is
// not forgotten by a process that has not seen it.
func TestJournalUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	write(t, quiet(path), "a")
	whole := content(t, path)
	newer := []byte("\x05hello") // what this version cannot decode
	other := binary.BigEndian.AppendUint32(nil, uint32(len(newer)))
	other = append(binary.BigEndian.AppendUint32(other, crc32.Checksum(newer, castagnoli)), newer...)
	other = append(bytes.Clone(whole), other...)
	j := quiet(path)
	unread := func() {
		if err := os.WriteFile(path, other, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Load(); err == nil {
			t.Fatal("read")
		}
		refuses(t, j, other)
	}
	unread()
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, j, whole)
	if list, err := j.Load(); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	write(t, j, "b")
	holds(t, path, "a", "b")

	j = quiet(path)
	unread()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, j, "c")
	holds(t, path, "c")
}

// A directory stands for whatever is not a readable file.
func TestJournalThatIsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	j := quiet(path)
	if _, err := j.Load(); err == nil {
		t.Error("read")
	}
	if err := j.Forget(j.Mark(), nil); err == nil {
		t.Error("forgotten")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// failing is a file on a disk that fails some of the calls.
type failing struct {
	appended
	sync, truncate int // how often it fails
}

var errDisk = errors.New("input/output error")

func (f *failing) Sync() error {
	if f.sync > 0 {
		f.sync--
		return errDisk
	}
	return f.appended.Sync()
}

func (f *failing) Truncate(size int64) error {
	if f.truncate > 0 {
		f.truncate--
		return errDisk
	}
	return f.appended.Truncate(size)
}

// on lets the journal's files be on such a disk.
func (f *failing) on(j *journal) {
	open := j.openFile
	j.openFile = func(path string) (appended, error) {
		file, err := open(path)
		f.appended = file
		return f, err
	}
}

// What was refused does not come back after a restart, though it may have reached the disk.
func TestJournalTakesBackWhatItRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	j, disk := quiet(path), &failing{}
	disk.on(j)
	write(t, j, "a")
	disk.sync = 1
	if err := j.Append([]events.Event{kept("refused")}); !errors.Is(err, errDisk) || errors.Is(err, events.ErrUnknownOutcome) {
		t.Errorf("append: %v", err)
	}
	holds(t, path, "a")
	write(t, j, "b")
	holds(t, path, "a", "b")
	if err := j.Forget(1, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "b")
}

// If it cannot be taken back nobody is told that it was not applied.
func TestJournalThatCannotTakeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	j, disk := quiet(path), &failing{}
	disk.on(j)
	write(t, j, "a")
	disk.sync, disk.truncate = 1, 1
	if err := j.Append([]events.Event{kept("unknown")}); !errors.Is(err, errDisk) || !errors.Is(err, events.ErrUnknownOutcome) {
		t.Errorf("append: %v", err)
	}
	if list := keys(t, j); len(list) != 1 {
		t.Errorf("what was not kept is given back: %v", list)
	}
	write(t, j, "b")
	holds(t, path, "a", "b")
}

// Nothing is written behind what is torn, nor to a file that a crash could take away whole.
func TestJournalThatCannotBeOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pending.journal")
	write(t, quiet(path), "a")
	torn := append(content(t, path), 1, 2, 3)
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	j, disk := quiet(path), &failing{truncate: 2}
	disk.on(j)
	for range 2 {
		if err := j.Append([]events.Event{kept("x")}); !errors.Is(err, errDisk) {
			t.Errorf("append: %v", err)
		}
		if got := content(t, path); !bytes.Equal(got, torn) {
			t.Errorf("%d bytes, want %d", len(got), len(torn))
		}
	}
	write(t, j, "b")
	holds(t, path, "a", "b")

	f, err := os.Open(path) // in a directory that cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j = quiet(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	for range 2 {
		if err := j.Append([]events.Event{kept("x")}); err == nil {
			t.Error("append succeeds")
		}
	}
	holds(t, path, "a", "b")
}
