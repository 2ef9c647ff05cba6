package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
	"sluice/events/stream"
)

func TestOpen(t *testing.T) {
	t.Run("creates the stream as specified", func(t *testing.T) {
		s := startServer(t)
		log := s.log(t)
		info := open(t, log)
		if len(info.StreamID) != 32 || info.First != 1 || info.Last != 0 || info.MaxBytes != 16<<20 {
			t.Errorf("new log: %+v", info)
		}
		st, err := s.js(t).Stream(t.Context(), subjects.Stream())
		if err != nil {
			t.Fatal(err)
		}
		got := st.CachedInfo().Config
		want := jetstream.StreamConfig{
			Name: "SLUICE_EDGE-1", Subjects: []string{"sluice.edge-1.events.>", "sluice.edge-1.ctl.>"},
			Description: got.Description, Metadata: got.Metadata,
			Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, MaxBytes: 16 << 20, MaxMsgSize: 256 << 10,
			MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1, Replicas: 1, Duplicates: 10 * time.Minute,
			DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true, Compression: jetstream.S2Compression,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stream (-want +got):\n%s", diff)
		}
		if got.Metadata["sluice.stream_id"] != info.StreamID || got.Metadata["sluice.format"] != "1" {
			t.Errorf("metadata %v", got.Metadata)
		}
	})
	t.Run("all who create it at once get one identity", func(t *testing.T) {
		s := startServer(t)
		ids := make([]string, 3)
		var wg sync.WaitGroup
		for i := range ids {
			log := s.log(t)
			wg.Go(func() {
				var info events.LogInfo
				if err := answered(func() (err error) { info, err = log.Open(t.Context()); return err }); err != nil {
					t.Errorf("open: %v", err)
				}
				ids[i] = info.StreamID
			})
		}
		wg.Wait()
		if ids[0] == "" || ids[0] != ids[1] || ids[1] != ids[2] {
			t.Errorf("identities %q", ids)
		}
	})
	t.Run("beyond the server's limit", func(t *testing.T) {
		s := startServer(t)
		log := s.logWith(t, stream.Config{Subjects: subjects, MaxBytes: 1 << 40})
		_, err := log.Open(t.Context())
		if !errors.Is(err, events.ErrRefused) || !strings.Contains(err.Error(), "store limit") {
			t.Errorf("open beyond the server's limit: %v", err)
		}
	})
}

func TestOpenRefusesAStreamThatIsNoLog(t *testing.T) {
	cases := map[string]struct {
		change func(*jetstream.StreamConfig)
		says   string
	}{
		"of another program": {func(c *jetstream.StreamConfig) { c.Metadata = nil }, "did not create it"},
		"of another format":  {func(c *jetstream.StreamConfig) { c.Metadata["sluice.format"] = "2" }, `is "2"`},
		"with an age limit":  {func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "maximum age"},
		"that discards old":  {func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discards old"},
		"that compacts":      {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "per subject"},
		"with deletion":      {func(c *jetstream.StreamConfig) { c.DenyDelete = false }, "deletion"},
		"of other subjects":  {func(c *jetstream.StreamConfig) { c.Subjects = []string{"other.>"} }, "other.>"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			js := s.js(t)
			open(t, s.log(t))
			st, err := js.Stream(t.Context(), subjects.Stream())
			if err != nil {
				t.Fatal(err)
			}
			cfg := st.CachedInfo().Config
			if err := js.DeleteStream(t.Context(), cfg.Name); err != nil {
				t.Fatal(err)
			}
			c.change(&cfg)
			eventually(t, "the other stream is made", func() bool { // the server is not always done with the old one
				_, err := js.CreateStream(t.Context(), cfg)
				return err == nil
			})
			_, err = s.log(t).Open(t.Context())
			if !errors.Is(err, stream.ErrUnfit) {
				t.Fatalf("open: %v", err)
			}
			for _, part := range []string{subjects.Stream(), c.says, "nats stream rm " + subjects.Stream()} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
	t.Run("subjects taken by another stream", func(t *testing.T) {
		s := startServer(t)
		_, err := s.js(t).CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"sluice.>"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.log(t).Open(t.Context()); !errors.Is(err, events.ErrRefused) || !strings.Contains(err.Error(), "another stream") {
			t.Errorf("open: %v", err)
		}
	})
}

func TestReadingWithoutStream(t *testing.T) {
	log := startServer(t).log(t)
	if _, err := log.Info(t.Context()); !errors.Is(err, events.ErrNoLog) {
		t.Errorf("info without stream: %v", err)
	}
	if _, err := log.Get(t.Context(), 1); !errors.Is(err, events.ErrNoLog) {
		t.Errorf("get without stream: %v", err)
	}
	if _, err := log.LastOf(t.Context(), key); !errors.Is(err, events.ErrNoLog) {
		t.Errorf("last without stream: %v", err)
	}
	err := log.Read(t.Context(), stream.Query{}, func(events.Message) error { return nil })
	if !errors.Is(err, events.ErrNoLog) {
		t.Errorf("read without stream: %v", err)
	}
}

// nine returns a log of the messages 1 to 9, every third one of another subject.
func nine(tb testing.TB) (log *stream.Log, subject, other string) {
	tb.Helper()
	log = startServer(tb).log(tb)
	open(tb, log)
	subject, other = subjects.Event("service/a"), subjects.Event("service/b")
	for i := 1; i <= 9; i++ {
		appendOne(tb, log, events.Outgoing{Subject: pick(i%3 == 0, other, subject), ID: fmt.Sprint("m", i), Data: fmt.Append(nil, i)})
	}
	return log, subject, other
}

func TestGet(t *testing.T) {
	log, subject, other := nine(t)
	t.Run("get returns what a follower sees, to the nanosecond", func(t *testing.T) {
		m, err := log.Get(t.Context(), 4)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(follow(t, log, 4, 1), []events.Message{m}); diff != "" {
			t.Errorf("get against follow (-follow +get):\n%s", diff)
		}
		if string(m.Data) != "4" || m.Subject != subject || m.Seq != 4 {
			t.Errorf("message %+v", m)
		}
	})
	t.Run("get of what is not there", func(t *testing.T) {
		if _, err := log.Get(t.Context(), 10); !errors.Is(err, events.ErrNoMessage) {
			t.Errorf("get: %v", err)
		}
	})
	t.Run("last of a subject", func(t *testing.T) {
		for subject, want := range map[string]uint64{subject: 8, other: 9, subjects.Event("service/c"): 0} {
			if got, err := log.LastOf(t.Context(), subject); err != nil || got != want {
				t.Errorf("last of %s: %d, %v; want %d", subject, got, err, want)
			}
		}
	})
}

func TestRead(t *testing.T) {
	log, subject, other := nine(t)
	t.Run("read by subject", func(t *testing.T) {
		for _, c := range []struct {
			q    stream.Query
			want string
		}{
			{stream.Query{}, "123456789"},
			{stream.Query{After: 4, Subject: subject}, "578"},
			{stream.Query{Subject: other, Limit: 2}, "36"},
			{stream.Query{Subject: subjects.Event("service/c")}, ""},
			{stream.Query{After: 9}, ""},
			{stream.Query{After: 100}, ""},
			{stream.Query{After: 8, Subject: subject}, ""},
		} {
			if got := read(t, log, c.q); got != c.want {
				t.Errorf("read %+v: %q, want %q", c.q, got, c.want)
			}
		}
	})
	t.Run("read ends with the handler's error", func(t *testing.T) {
		stop := errors.New("enough")
		if err := log.Read(t.Context(), stream.Query{}, func(events.Message) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("read: %v", err)
		}
	})
	t.Run("history is newest first", func(t *testing.T) {
		for n, want := range map[int]string{0: "", 1: "8", 2: "87", 5: "87542", 50: "875421"} {
			list, err := log.History(t.Context(), subject, n)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, m := range list {
				got.Write(m.Data)
			}
			if got.String() != want {
				t.Errorf("newest %d: %q, want %q", n, got.String(), want)
			}
		}
	})
}

func read(tb testing.TB, log *stream.Log, q stream.Query) string {
	tb.Helper()
	var got strings.Builder
	err := answered(func() error {
		got.Reset()
		return log.Read(tb.Context(), q, func(m events.Message) error {
			got.Write(m.Data)
			return nil
		})
	})
	if err != nil {
		tb.Fatalf("read %+v: %v", q, err)
	}
	return got.String()
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
