package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	streamName    = "SLUICE_DOCKER-FLOW"
	eventSubjects = "sluice.docker-flow.events.>"
)

// cloudEvent is a CloudEvents 1.0 event in structured JSON, with Sluice's extensions.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time,omitempty"`
	HLC             string          `json:"hlc,omitempty"`
	Node            string          `json:"node,omitempty"`
	Actor           string          `json:"actor,omitempty"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

// stored reads the whole log below a subject with an ordinary NATS client.
func stored(t testing.TB, stream jetstream.Stream, subject string) []jetstream.Msg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.FetchNoWait(10_000)
	if err != nil {
		t.Fatal(err)
	}
	var all []jetstream.Msg
	for m := range batch.Messages() {
		all = append(all, m)
	}
	if batch.Error() != nil {
		t.Fatal(batch.Error())
	}
	return all
}

// clusterKey is a file with a key that seals secrets in the log.
func clusterKey(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(rand.Text()+rand.Text()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openStream(t testing.TB, n *natsServer) jetstream.Stream {
	t.Helper()
	js := jetStream(t, connect(t, n.url()))
	stream, err := js.Stream(t.Context(), streamName)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestLogIsReadable: the stream is as documented, and any NATS client reads the events.
func TestLogIsReadable(t *testing.T) {
	n := startNATS(t)
	r := startReplica(t, "local", "--nats-url", n.url(), "--cluster-key-file", clusterKey(t))
	port := startBackend(t, "one")
	r.reconfigure(t, "go-demo", port, "users", "ann:correct-horse-battery")
	r.remove(t, "go-demo")
	stream := openStream(t, n)

	t.Run("the stream has the documented limits", func(t *testing.T) {
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := info.Config
		problems := map[string]bool{
			"subjects":             strings.Join(c.Subjects, " ") != eventSubjects+" sluice.docker-flow.ctl.>",
			"file storage":         c.Storage != jetstream.FileStorage,
			"discard new":          c.Discard != jetstream.DiscardNew,
			"4 GiB":                c.MaxBytes != 4<<30,
			"256 KiB a message":    c.MaxMsgSize != 256<<10,
			"deny delete":          !c.DenyDelete,
			"no age limit":         c.MaxAge != 0,
			"no limit per subject": c.MaxMsgsPerSubject > 0,
			"no rollup":            c.AllowRollup,
			"S2":                   c.Compression != jetstream.S2Compression,
			"dedupe 10 min":        c.Duplicates != 10*time.Minute,
			"direct get":           !c.AllowDirect,
			"identity":             c.Metadata["sluice.stream_id"] == "",
		}
		for what, wrong := range problems {
			if wrong {
				t.Errorf("not as documented: %s; config: %+v", what, c)
			}
		}
	})
	t.Run("events are CloudEvents in JSON", func(t *testing.T) {
		var types []string
		for _, m := range stored(t, stream, eventSubjects) {
			var e cloudEvent
			if err := json.Unmarshal(m.Data(), &e); err != nil {
				t.Fatalf("%s: %v: %s", m.Subject(), err, m.Data())
			}
			hex := regexp.MustCompile(`^[0-9a-f]{16}$`)
			if e.SpecVersion != "1.0" || e.ID == "" || e.Source == "" || e.Subject != "service/go-demo" ||
				!hex.MatchString(e.HLC) || !hex.MatchString(e.Node) || e.Actor == "" {
				t.Errorf("event %+v", e)
			}
			if m.Subject() != "sluice.docker-flow.events.service.go-demo" {
				t.Errorf("subject %s", m.Subject())
			}
			types = append(types, e.Type)
		}
		if got, want := fmt.Sprint(types), "[sluice.service.put sluice.service.removed]"; got != want {
			t.Errorf("types %s, want %s", got, want)
		}
	})
	t.Run("no password is in the log", func(t *testing.T) {
		for _, m := range stored(t, stream, ">") {
			if strings.Contains(string(m.Data()), "correct-horse-battery") {
				t.Errorf("%s holds the password: %s", m.Subject(), m.Data())
			}
		}
	})
	t.Run("the API shows the same events", func(t *testing.T) {
		a := mustStatus(t, get(t, r.url("/v1/events?after=0")), http.StatusOK)
		if lines := strings.Count(a.Body, `"service/go-demo"`); lines != 2 {
			t.Errorf("%d events of go-demo: %v", lines, a)
		}
		if strings.Contains(a.Body, "correct-horse-battery") {
			t.Error("/v1/events shows the password")
		}
	})
}

// TestForeignMessages: what others publish straight into the log is an event if it is one,
// and has no effect if it is not.
func TestForeignMessages(t *testing.T) {
	n := startNATS(t)
	r := startReplica(t, "local", "--nats-url", n.url())
	port := startBackend(t, "one")
	t.Run("a password without a cluster key is refused with the remedy", func(t *testing.T) {
		a := mustStatus(t, r.dfp("reconfigure", demo("web", port, "users", "ann:correct-horse")), http.StatusBadRequest)
		if !strings.Contains(a.Body, "--cluster-key-file") || strings.Contains(a.Body, "correct-horse") {
			t.Errorf("answer %v", a)
		}
	})
	r.reconfigure(t, "web", port)

	for _, garbage := range []string{"", "{", "null", `{"specversion":"1.0"}`, strings.Repeat("x", 100_000)} {
		publish(t, n, "web", []byte(garbage))
	}
	publishDefinition(t, n, "from-ci", definition("from-ci", port, ""))
	eventually(t, patience, "the raw event is routed", func() error { return r.routed("/from-ci", "one") })
	if err := r.routed("/web", "one"); err != nil {
		t.Error(err)
	}
	eventually(t, patience, "fresh", r.fresh)
	r.reconfigure(t, "later", port)
}

// definition is a canonical service document; pathType may be empty.
func definition(name string, port int, pathType string) string {
	d := map[string]any{"index": 0, "port": port, "reqMode": "http", "servicePath": []string{"/" + name}, "outboundHostname": "127.0.0.1"}
	if pathType != "" {
		d["pathType"] = pathType
	}
	data, err := json.Marshal(map[string]any{"serviceName": name, "destinations": []any{d}})
	if err != nil {
		panic(err) // a map of strings and numbers
	}
	return string(data)
}

// publishDefinition is what `nats pub` would do: an event without a stamp.
func publishDefinition(t testing.TB, n *natsServer, name, document string) {
	t.Helper()
	data, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: fmt.Sprint(time.Now().UnixNano()), Source: "ci", Type: "sluice.service.put",
		Subject: "service/" + name, DataContentType: "application/json", Data: json.RawMessage(document),
	})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, n, name, data)
}

func publish(t testing.TB, n *natsServer, name string, data []byte) {
	t.Helper()
	js := jetStream(t, connect(t, n.url()))
	if _, err := js.Publish(t.Context(), "sluice.docker-flow.events.service."+name, data); err != nil {
		t.Fatal(err)
	}
}
