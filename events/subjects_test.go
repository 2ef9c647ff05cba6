package events_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/events"
)

func TestSubjectsNames(t *testing.T) {
	got := []string{names.Stream(), names.Control("tick"), names.Peer("report"),
		names.Event("service/go-demo"), names.Event("service/a.b*>é c=")}
	got = append(got, names.All()...)
	want := []string{"SLUICE_DOCKER-FLOW", "sluice.docker-flow.ctl.tick", "sluice.docker-flow.peer.report",
		"sluice.docker-flow.events.service.go-demo", "sluice.docker-flow.events.service.a=2Eb=2A=3E=C3=A9=20c=3D",
		"sluice.docker-flow.events.>", "sluice.docker-flow.ctl.>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}
}

func TestSubjectsKeyReversesEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[a-z]{1,16}`).Draw(t, "kind") + "/" +
			string(rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "name"))
		subject := names.Event(key)
		if strings.ContainsAny(strings.TrimPrefix(subject, "sluice.docker-flow.events."), " *>\x00\r\n") || strings.Count(subject, ".") != 4 {
			t.Fatalf("%q becomes the subject %q", key, subject)
		}
		if got, ok := names.Key(subject); !ok || got != key {
			t.Fatalf("%q became %q and then %q", key, subject, got)
		}
	})
}

func TestSubjectsKeyRefusesOtherSpellings(t *testing.T) {
	for _, subject := range []string{
		"", "sluice.docker-flow.events.", "sluice.docker-flow.events.service", "sluice.docker-flow.events.service.",
		"sluice.other.events.service.a", "sluice.docker-flow.ctl.service.a", "sluice.docker-flow.events.Service.a",
		"sluice.docker-flow.events.service.=2d", "sluice.docker-flow.events.service.=2e", "sluice.docker-flow.events.service.=41",
		"sluice.docker-flow.events.service.=", "sluice.docker-flow.events.service.=2", "sluice.docker-flow.events.service.=GG",
		"sluice.docker-flow.events.service.a.b", "sluice.docker-flow.events.service." + strings.Repeat("a", 201),
	} {
		if key, ok := names.Key(subject); ok {
			t.Errorf("%q is read as %q", subject, key)
		}
	}
}

func TestSubjectsValidate(t *testing.T) {
	for _, ns := range []string{"a", "docker-flow", "0_9", strings.Repeat("x", 32)} {
		if err := (events.Subjects{Namespace: ns}).Validate(); err != nil {
			t.Errorf("%q: %v", ns, err)
		}
	}
	for _, ns := range []string{"", "-a", "A", "a.b", "a b", "a*", "a>", "a\n", strings.Repeat("x", 33)} {
		if err := (events.Subjects{Namespace: ns}).Validate(); err == nil {
			t.Errorf("%q is accepted", ns)
		}
	}
}
