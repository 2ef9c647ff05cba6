package broker

import (
	"regexp"
	"sync"
	"time"
)

const (
	// tellAgain is how long a text is not told again.
	tellAgain = 10 * time.Minute
	// mostTold bounds the texts that are remembered: strangers' addresses are part of some.
	mostTold = 256
)

// connection is what the server puts before the text about a connection: address, kind and
// number. Port and number are new each time.
var connection = regexp.MustCompile(`^(\S+):\d+ - ([a-z]+):\d+ - `)

// throttle knows which texts were told lately. The zero value has told nothing; safe for
// concurrent use.
type throttle struct {
	mu   sync.Mutex
	told map[string]*telling
}

type telling struct {
	last    time.Time
	omitted int // since then
}

// admit reports whether a text is to be told now, and how many equal ones were left out before.
func (t *throttle) admit(text string) (omitted int, now bool) {
	text = connection.ReplaceAllString(text, "$1 $2 ")
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.told[text]
	if known != nil && time.Since(known.last) < tellAgain {
		known.omitted++
		return 0, false
	}
	if known != nil {
		omitted = known.omitted
	}
	if t.told == nil || len(t.told) >= mostTold {
		t.told = map[string]*telling{}
	}
	t.told[text] = &telling{last: time.Now()}
	return omitted, true
}
