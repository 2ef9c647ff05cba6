package proxy

import (
	"fmt"
	"regexp"
	"strings"
)

// command is one for HAProxy's socket. refused handles an answer that it was not done; nil:
// no such answer is expected, and it means that HAProxy holds something else than was thought.
type command struct {
	text    string
	refused func()
	// wants is what the answer has to hold, "" for nothing.
	wants string
	// warns: HAProxy 3.0 and newer tell as a warning that it was done.
	warns bool
}

// done reports whether the answer says that the command was done.
func (c *command) done(answer string) bool {
	refused := refusalAnswer
	if c.warns {
		refused = errorAnswer
	}
	return !refused.MatchString(answer) && strings.Contains(answer, c.wants)
}

// maxPayload keeps what follows a command within HAProxy's buffer of 16,384 bytes. HAProxy 3.4
// takes more, but now and then sees an end where two buffers meet, and takes the rest for commands.
const maxPayload = 15 << 10

// refusalAnswer matches an answer of severity error or warning, errorAnswer of error. Silence and information mean that
// a command was done.
var (
	refusalAnswer = regexp.MustCompile(`(?m)^\[[0-4]\]: `)
	errorAnswer   = regexp.MustCompile(`(?m)^\[[0-3]\]: `)
)

// plainKey matches the keys that can stand within a command as they are.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9/._~%*|:@!$&'()+,=-]+$`)

// addLines are the commands that add lines to a map, many at a time. Behind "<<" no
// character but a line break means anything.
func addLines(file, version string, keys []string, value func(key string) string) []command {
	var list []command
	var b strings.Builder
	head := "add map " + version + file + " <<\n"
	flush := func() {
		if b.Len() > 0 {
			list = append(list, command{text: head + b.String()})
			b.Reset()
		}
	}
	for _, key := range keys {
		line := key + " " + value(key) + "\n"
		if b.Len()+len(line) > maxPayload {
			flush()
		}
		b.WriteString(line)
	}
	flush()
	return list
}

func setLine(file, key, value string) command {
	return command{text: fmt.Sprintf("set map %s %s %s", file, key, value)}
}

func deleteLine(file, key string) command {
	return command{text: fmt.Sprintf("del map %s %s", file, key)}
}

// addServer puts a server to work; until it is enabled, it is in maintenance.
func addServer(backend string, s *server) []command {
	id := backend + "/" + s.name
	list := []command{{text: "add server " + id + " " + s.add()}}
	if s.check {
		list = append(list, command{text: "enable health " + id})
	}
	if s.maint {
		return list
	}
	return append(list, command{text: "enable server " + id})
}

func moveServer(backend string, s *server) command {
	return command{text: fmt.Sprintf("set server %s/%s addr %s port %d", backend, s.name, s.addr, s.port), warns: true}
}

// retire lets a server finish its requests without getting new ones.
func retire(id string) command { return command{text: "set server " + id + " state maint"} }

// putState gives a server its state; both cancel a drain that was ordered by hand.
func putState(id string, maint bool) command {
	if maint {
		return retire(id)
	}
	return reinstate(id)
}

func setWeight(id string, weight int) command {
	return command{text: fmt.Sprintf("set server %s weight %d", id, weight)}
}

func reinstate(id string) command { return command{text: "set server " + id + " state ready"} }

func deleteServer(id string, refused func()) command {
	return command{text: "del server " + id, refused: refused}
}

// plainDefaults are what backends that are added get their settings from.
const plainDefaults = "pool"

// addBackend makes a backend like those of the pool, where HAProxy can; it takes requests
// once it is published. Some versions want to be told that this is an experiment, the others
// do not mind.
func addBackend(name string) []command {
	return []command{
		{text: "experimental-mode on"},
		{text: "add backend " + name + " from " + plainDefaults + " mode http", wants: "registered"},
		publishBackend(name),
	}
}

func publishBackend(name string) command { return command{text: "publish backend " + name} }

func unpublishBackend(name string) command { return command{text: "unpublish backend " + name} }

func deleteBackend(name string, refused func()) command {
	return command{text: "del backend " + name, refused: refused}
}
