package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"sluice/events/stream"
)

func TestConnectRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  stream.ConnConfig
		says string
	}{
		"no address":      {stream.ConnConfig{}, "no address"},
		"unknown scheme":  {stream.ConnConfig{URL: "nats://a, http://user:hunter2@b"}, "address 2"},
		"no host":         {stream.ConnConfig{URL: "nats://:hunter2@"}, "names no host"},
		"bad escape":      {stream.ConnConfig{URL: "nats://user:hunter2%zz@b"}, "host:port"},
		"two identities":  {stream.ConnConfig{URL: "a", Auth: stream.Auth{Token: "hunter2", CredsFile: "x"}}, "more than one"},
		"absent creds":    {stream.ConnConfig{URL: "a", Auth: stream.Auth{CredsFile: "/no/creds"}}, "/no/creds"},
		"absent token":    {stream.ConnConfig{URL: "a", Auth: stream.Auth{TokenFile: "/no/token"}}, "/no/token"},
		"absent seed":     {stream.ConnConfig{URL: "a", Auth: stream.Auth{NKeySeedFile: "/no/seed"}}, "/no/seed"},
		"absent CA":       {stream.ConnConfig{URL: "a", Auth: stream.Auth{CAFile: "/no/ca"}}, "/no/ca"},
		"half a key pair": {stream.ConnConfig{URL: "a", Auth: stream.Auth{CertFile: "/no/cert"}}, "both"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := stream.Connect(c.cfg)
			if err == nil {
				_ = conn.Close()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q, want it to say %q and no password", err, c.says)
			}
		})
	}
}

func TestWrongTokenIsTriedAgain(t *testing.T) {
	s := startServer(t)
	s.stop()
	s.opts.Authorization = "right"
	s.start(t)
	var lines buffer
	conn, err := stream.Connect(stream.ConnConfig{URL: s.ClientURL(), Name: "test", Auth: stream.Auth{Token: "wrong"}, Logger: zerolog.New(&lines)})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer conn.Close()
	eventually(t, "both connections tell why", func() bool { return strings.Count(lines.String(), "Authorization Violation") >= 2 })
	<-time.After(time.Second) // several attempts
	if n := strings.Count(lines.String(), "\n"); n > 4 {
		t.Errorf("%d lines for one outage:\n%s", n, lines.String())
	}
	changed := conn.Changed()
	opts := s.opts.Clone()
	opts.Authorization = "wrong"
	if err := s.ReloadOptions(opts); err != nil {
		t.Fatal(err)
	}
	<-changed
	eventually(t, "connected with the token that became right", conn.Connected)
	if conn.NATS().Status() != nats.CONNECTED {
		t.Error("the reading connection is not up")
	}
}
