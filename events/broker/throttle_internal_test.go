package broker

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestEqualTextsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBridge(zerolog.New(&out))
		told := func() []string {
			defer out.Reset()
			return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		}
		refuse := func(host string, n int) {
			for i := range n {
				b.Errorf("%s:%d - rid:%d - TLS route handshake error: %v", host, 40000+i, i, "bad certificate")
			}
		}
		refuse("10.0.0.1", 100)
		refuse("10.0.0.2", 100)
		b.Errorf("another text")
		b.Warnf("a warning")
		b.Warnf("a warning")
		if got := told(); len(got) != 4 || !strings.Contains(got[1], "10.0.0.2") || !strings.Contains(got[3], "warn") {
			t.Errorf("told %q", got)
		}

		time.Sleep(tellAgain)
		refuse("10.0.0.1", 3)
		if got := told(); len(got) != 1 || !strings.Contains(got[0], `"omitted":99`) {
			t.Errorf("later, told %q", got)
		}

		for i := range 10 * mostTold {
			b.Errorf("text %d", i)
		}
		if got := told(); len(got) != 10*mostTold || len(b.told.told) > mostTold {
			t.Errorf("of other texts %d are told, %d remembered", len(got), len(b.told.told))
		}
	})
}
