package service

import (
	"regexp"
	"strings"
)

// Kinds of map entries: services, and what is in force over them.
const (
	keyPrefix     = "service/"
	overlayPrefix = "overlay/"
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// Key is the map key of the service called name.
func Key(name string) string { return keyPrefix + name }

// Name is the service that key belongs to; false if key is not that of a service or
// holds a name that no service can have.
func Name(key string) (string, bool) {
	name, ok := strings.CutPrefix(key, keyPrefix)
	if !ok || nameRule(name) != (fault{}) {
		return "", false
	}
	return name, true
}

// OverlayKey is the map key of the overlay over the service called name.
func OverlayKey(name string) string { return overlayPrefix + name }

// Overlaid is the service that the overlay with key belongs to; false if key is not that of
// an overlay or holds a name that no service can have.
func Overlaid(key string) (string, bool) {
	name, ok := strings.CutPrefix(key, overlayPrefix)
	return name, ok && nameRule(name) == (fault{})
}

// CheckName returns Errors naming serviceName unless name can be a service's name.
func CheckName(name string) error {
	var p problems
	if name == "" {
		p.add("serviceName", "", fault{"is missing", "give the service a name"})
		return p.err()
	}
	p.add("serviceName", name, nameRule(name))
	return p.err()
}

// nameRule admits what is safe as a file name, as a part of a subject and as a word of
// the configuration. Dots alone would be a directory.
func nameRule(text string) fault {
	if !namePattern.MatchString(text) || text == "." || text == ".." {
		return fault{"is not a name", "use 1 to 128 letters, digits, '_', '.' or '-'"}
	}
	return fault{}
}
