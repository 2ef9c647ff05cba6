package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Scope is what a token allows.
type Scope string

// Scopes of a token. Write includes Read.
const (
	Read  Scope = "read"
	Write Scope = "write"
)

const minToken = 16 // characters; shorter ones can be guessed

var tokenName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

type token struct {
	name  string
	hash  [sha256.Size]byte
	scope Scope
}

// Tokens are the access tokens of an API. The zero value holds none. The tokens
// themselves are not kept, only their SHA-256. Safe for concurrent use.
type Tokens struct{ list []token }

// Len is the number of tokens.
func (t Tokens) Len() int { return len(t.list) }

// ParseTokens reads lines name:token[:scope]; empty lines and lines that begin with # do
// not count. The scope is read or write, write if it is left out. Errors name the line,
// never the token; all lines are reported at once.
func ParseTokens(text []byte) (Tokens, error) {
	var t Tokens
	var errs []error
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		entry, err := parseToken(line)
		if err == nil {
			err = t.add(entry)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("tokens line %d: %w", n, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Tokens{}, err
	}
	return t, nil
}

func parseToken(line string) (token, error) {
	parts := strings.Split(line, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return token{}, errors.New("want name:token or name:token:scope, without colons in the token")
	}
	name, secret, scope := parts[0], parts[1], Write
	if len(parts) == 3 {
		scope = Scope(parts[2])
	}
	switch {
	case !tokenName.MatchString(name):
		return token{}, errors.New("the name must be 1 to 64 of A-Z a-z 0-9 _ . -")
	case len(secret) < minToken:
		return token{}, fmt.Errorf("the token of %q is shorter than %d characters: make one with `openssl rand -hex 24`", name, minToken)
	case scope != Read && scope != Write:
		return token{}, fmt.Errorf("the scope of %q must be read or write", name)
	}
	return token{name: name, hash: sha256.Sum256([]byte(secret)), scope: scope}, nil
}

func (t *Tokens) add(n token) error {
	for _, o := range t.list {
		if o.name == n.name {
			return fmt.Errorf("the name %q is used twice", n.name)
		}
		if o.hash == n.hash {
			return fmt.Errorf("%q has the same token as %q: give each its own", n.name, o.name)
		}
	}
	t.list = append(t.list, n)
	return nil
}

// find compares with every token, so that its time tells nothing about which one matches.
func (t Tokens) find(secret string) (token, bool) {
	hash := sha256.Sum256([]byte(secret))
	var found token
	ok := false
	for _, o := range t.list {
		if subtle.ConstantTimeCompare(hash[:], o.hash[:]) == 1 {
			found, ok = o, true
		}
	}
	return found, ok
}
