package events

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Kinds of control messages, the last part of their subjects.
const (
	ControlGenesis = "genesis"
	ControlChunk   = "chunk"
	ControlTick    = "tick"
)

// Limits of a key "kind/name", in bytes.
const (
	maxKind = 16
	maxName = 200
)

// ErrKey says that a text is no key of the map.
var ErrKey = errors.New("invalid key")

var namespacePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// Subjects names the stream and the NATS subjects of one cluster.
type Subjects struct {
	// Namespace separates clusters that share a NATS system: 1 to 32 of [a-z0-9_-], the
	// first one a letter or digit.
	Namespace string
}

// Validate reports a namespace that would not make valid subjects.
func (s Subjects) Validate() error {
	if !namespacePattern.MatchString(s.Namespace) {
		return fmt.Errorf("namespace %.60q: want 1 to 32 of a-z, 0-9, _ and -, beginning with a letter or digit", s.Namespace)
	}
	return nil
}

// Stream is the name of the JetStream stream, e.g. "SLUICE_DOCKER-FLOW".
func (s Subjects) Stream() string { return "SLUICE_" + strings.ToUpper(s.Namespace) }

// All lists the subjects that the stream holds.
func (s Subjects) All() []string { return []string{s.events() + ">", s.Control(">")} }

// Event is the subject of the events of a key: "service/go-demo" becomes
// "sluice.<namespace>.events.service.go-demo". Bytes of the name outside [A-Za-z0-9_-]
// are written =XX in upper-case hex. The key must be valid (CheckKey).
func (s Subjects) Event(key string) string {
	kind, name, _ := strings.Cut(key, "/")
	var b strings.Builder
	b.Grow(len(s.Namespace) + len(key) + 24)
	b.WriteString(s.events())
	b.WriteString(kind)
	b.WriteByte('.')
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

// Key is the reverse of Event; false for any subject that Event does not make.
func (s Subjects) Key(subject string) (string, bool) {
	rest, ok := strings.CutPrefix(subject, s.events())
	if !ok {
		return "", false
	}
	kind, token, ok := strings.Cut(rest, ".")
	if !ok {
		return "", false
	}
	name := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '=' && i+2 < len(token) {
			c = unhex(token[i+1])<<4 | unhex(token[i+2])
			i += 2
		}
		name = append(name, c)
	}
	key := kind + "/" + string(name)
	// Writing it again refuses every second spelling (=2d, =41, stray signs) at once.
	if CheckKey(key) != nil || s.Event(key) != subject {
		return "", false
	}
	return key, true
}

// Control is the subject of control messages of a kind, kept in the stream.
func (s Subjects) Control(kind string) string { return "sluice." + s.Namespace + ".ctl." + kind }

// controlled is the kind of a control message's subject, empty for others. Every message of a log
// comes through here, so nothing is put together.
func (s Subjects) controlled(subject string) string {
	rest, product := strings.CutPrefix(subject, "sluice.")
	rest, namespace := strings.CutPrefix(rest, s.Namespace)
	kind, control := strings.CutPrefix(rest, ".ctl.")
	if !product || !namespace || !control {
		return ""
	}
	return kind
}

// Peer is the subject of messages between replicas, which no stream keeps.
func (s Subjects) Peer(kind string) string { return "sluice." + s.Namespace + ".peer." + kind }

func (s Subjects) events() string { return "sluice." + s.Namespace + ".events." }

// CheckKey reports whether key is "kind/name": 1 to 16 of [a-z], a slash, and 1 to 200
// bytes. The error wraps ErrKey.
func CheckKey(key string) error {
	kind, name, ok := strings.Cut(key, "/")
	if !ok || !validKind(kind) {
		return fmt.Errorf("%w %.60q: want <kind>/<name>, the kind 1 to %d of a-z", ErrKey, key, maxKind)
	}
	if len(name) < 1 || len(name) > maxName {
		return fmt.Errorf("%w %.60q: the name has %d bytes, want 1 to %d", ErrKey, key, len(name), maxName)
	}
	return nil
}

func validKind(kind string) bool {
	if len(kind) < 1 || len(kind) > maxKind {
		return false
	}
	for i := range len(kind) {
		if kind[i] < 'a' || kind[i] > 'z' {
			return false
		}
	}
	return true
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

const upperHex = "0123456789ABCDEF"

// unhex is the value of an upper-case hex digit, 0 for any other byte.
func unhex(c byte) byte {
	return byte(max(strings.IndexByte(upperHex, c), 0))
}
