package consul

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"sluice/events"
)

const (
	manifestFormat = 1
	// chunkSize is half of what Consul accepts as one value: 256 KiB.
	chunkSize = 256 << 10
	// maxChunks bounds a snapshot to 1 GiB, and the manifest to what one value holds.
	maxChunks = 4096
)

// manifest describes the current snapshot. It is the only key that is ever replaced; the chunks
// of an id never change.
type manifest struct {
	Format    int       `json:"format"`
	Namespace string    `json:"namespace"`
	ID        string    `json:"id"`
	StreamID  string    `json:"streamId"`
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	Size      int       `json:"size"`
	// SHA256 is that of the whole, Chunks those of the parts in order; hex.
	SHA256 string   `json:"sha256"`
	Chunks []string `json:"chunks"`
}

var (
	idPattern  = regexp.MustCompile(`^[0-9a-f]{16}-[0-9a-f]{16}$`)
	sumPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// describe returns the manifest of data and its chunks, which share data's memory.
func describe(s events.Snapshot, data []byte) (manifest, [][]byte, error) {
	id, err := newID(s.Taken)
	if err != nil {
		return manifest{}, nil, err
	}
	m := manifest{
		Format: manifestFormat, Namespace: s.Namespace, ID: id,
		StreamID: s.State.StreamID, Seq: s.State.Seq(), Time: s.Taken.UTC(),
		Size: len(data), SHA256: sum(data),
	}
	var chunks [][]byte
	for rest := data; len(rest) > 0; {
		n := min(chunkSize, len(rest))
		chunks = append(chunks, rest[:n])
		m.Chunks = append(m.Chunks, sum(rest[:n]))
		rest = rest[n:]
	}
	if len(chunks) > maxChunks {
		return manifest{}, nil, fmt.Errorf("snapshot of %d bytes: Consul gets at most %d", len(data), maxChunks*chunkSize)
	}
	return m, chunks, nil
}

// decodeManifest checks everything that is used later: its keys go into requests.
func decodeManifest(data []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return manifest{}, fmt.Errorf("manifest: %w: %w", events.ErrCorruptSnapshot, err)
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("manifest: %w: format %d, this program knows %d", events.ErrCorruptSnapshot, m.Format, manifestFormat)
	}
	ok := idPattern.MatchString(m.ID) && sumPattern.MatchString(m.SHA256) &&
		len(m.Chunks) <= maxChunks && m.Size >= 0 && m.Size <= len(m.Chunks)*chunkSize
	for _, c := range m.Chunks {
		ok = ok && sumPattern.MatchString(c)
	}
	if !ok {
		return manifest{}, fmt.Errorf("manifest: %w: id, size or checksums are malformed", events.ErrCorruptSnapshot)
	}
	return m, nil
}

// newID is the time in milliseconds, so that leftovers can be told by age, and 64 random bits.
func newID(t time.Time) (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make snapshot id: %w", err)
	}
	return fmt.Sprintf("%016x-%s", t.UnixMilli(), hex.EncodeToString(b[:])), nil
}

// age is how long before now the id was made; false if it is none of ours.
func age(id string, now time.Time) (time.Duration, bool) {
	if !idPattern.MatchString(id) {
		return 0, false
	}
	millis, err := strconv.ParseInt(id[:16], 16, 64)
	if err != nil {
		return 0, false
	}
	return now.Sub(time.UnixMilli(millis)), true
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
