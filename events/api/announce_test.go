package api_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

// announced is a listing of /path with the port.
func announced(name, port string) url.Values {
	return url.Values{"serviceName": {name}, "servicePath": {"/" + name}, "port": {port}, "replicas": {"2"}}
}

func always(answer bool) func(context.Context, crdt.Entry) (bool, error) {
	return func(context.Context, crdt.Entry) (bool, error) { return answer, nil }
}

func TestAnnounce(t *testing.T) {
	for name, c := range map[string]struct {
		before, now url.Values
		removed     bool
		mine        bool
		wrote       bool
		refused     bool
	}{
		"a new one":                 {now: announced("x", "80"), wrote: true},
		"the same":                  {before: announced("x", "80"), now: announced("x", "80"), mine: true},
		"a change of its own":       {before: announced("x", "80"), now: announced("x", "81"), mine: true, wrote: true},
		"a change of somebody else": {before: announced("x", "80"), now: announced("x", "81")},
		"a removal":                 {before: announced("x", "80"), now: announced("x", "80"), removed: true, mine: true},
		"an invalid one":            {now: announced("x", "none"), refused: true},
		"one without route":         {now: url.Values{"serviceName": {"x"}, "port": {"80"}}, refused: true},
		"none running":              {now: url.Values{"serviceName": {"x"}, "replicas": {"0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := apitest.New()
			s, err := api.NewServer(config(b))
			if err != nil {
				t.Fatal(err)
			}
			if c.before != nil {
				if _, err := s.Announce(t.Context(), c.before, always(true)); err != nil {
					t.Fatal(err)
				}
			}
			if c.removed {
				if _, err := b.Write(t.Context(), events.Change{Key: service.Key("x"), Delete: true}); err != nil {
					t.Fatal(err)
				}
			}
			wrote, err := s.Announce(t.Context(), c.now, always(c.mine))
			if wrote != c.wrote || errors.Is(err, api.ErrNotTaken) != c.refused || err != nil && !c.refused {
				t.Errorf("wrote %v, error %v", wrote, err)
			}
		})
	}
}

// offline is a replica without its log.
type offline struct{ api.Replica }

func (offline) Write(context.Context, events.Change) (events.Receipt, error) {
	return events.Receipt{}, events.ErrUnavailable
}

func TestAnnounceWithoutLog(t *testing.T) {
	cfg := config(apitest.New())
	cfg.Replica = offline{cfg.Replica}
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if wrote, err := s.Announce(t.Context(), announced("x", "80"), always(true)); wrote || err == nil || errors.Is(err, api.ErrNotTaken) {
		t.Errorf("wrote %v, error %v: it has to be tried again", wrote, err)
	}
}
