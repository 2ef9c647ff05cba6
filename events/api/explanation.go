package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
)

// Probe is a request that somebody asks about.
type Probe struct {
	Method string `json:"method"`
	// Port is the entry port, TLS whether the connection to it is encrypted. Asked with
	// port 0, it enters at the proxy's own port for that.
	Port int  `json:"port"`
	TLS  bool `json:"tls"`
	// Host is the Host header, with its port.
	Host string `json:"host"`
	// Path and Query are as they are sent. Query and Header may hold secrets: they are
	// never told.
	Path   string      `json:"path"`
	Query  string      `json:"-"`
	Header http.Header `json:"-"`
}

// Kinds of rules that stand for no service's rule.
const (
	RuleNone     = "none"
	RuleRedirect = "redirectFromDomain"
)

// Rule is one rule that a request meets.
type Rule struct {
	// Kind is prefix, exactPath, special (neither of them), defaultBackend,
	// redirectFromDomain, statistics (HAProxy's page) or none.
	Kind    string `json:"kind"`
	Service string `json:"service,omitempty"`
	// Index is that of the destination, Backend its section in haproxy.cfg.
	Index   int    `json:"index"`
	Backend string `json:"backend,omitempty"`
	// Class is the first key of the order: wellKnown, other or root.
	Class string `json:"class,omitempty"`
	// Host is the pattern that the host matches, "" for any, Path that of the path.
	Host string `json:"host,omitempty"`
	Path string `json:"path,omitempty"`
	// Conditions are what a special asks for, in HAProxy's words.
	Conditions []string `json:"conditions,omitempty"`
	// Doubt says which condition cannot be judged, and why.
	Doubt string `json:"doubt,omitempty"`
}

// Routing is what becomes of a request, by what HAProxy serves now.
type Routing struct {
	// Request is the one that was asked about, completed.
	Request Probe `json:"request"`
	// Rule decides, unless one of Doubts does: rules in front of it that cannot be judged
	// here, of which the first that holds decides.
	Rule   Rule   `json:"rule"`
	Doubts []Rule `json:"doubts,omitempty"`
	// Shadowed are the rules behind Rule that match as well, in the order in which they
	// would take over. MoreShadowed counts those that are not listed.
	Shadowed     []Rule `json:"shadowed"`
	MoreShadowed int    `json:"moreShadowed,omitempty"`
	// Status is what the proxy answers by itself if Rule decides, 0 if a server is asked;
	// Reason is the parameter that wants it so.
	Status   int    `json:"status,omitempty"`
	Location string `json:"location,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// ErrorFile is the page of such an answer; empty: HAProxy's own.
	ErrorFile string `json:"errorFile,omitempty"`
	// Notes are what else may decide and is not looked at, one line each.
	Notes []string `json:"notes,omitempty"`
	// Version is that of the deciding rule's service as it serves: its stamp, or another
	// name for one that came from elsewhere; Value is its document.
	Version string `json:"version,omitempty"`
	Value   []byte `json:"-"`
}

// Explainer tells what becomes of requests on what this replica's HAProxy serves. Safe for
// concurrent use.
type Explainer interface {
	// Explain fails with events.ErrNotReady before anything is served.
	Explain(ctx context.Context, p Probe) (Routing, error)
}

// Explanation is the answer of GET /v1/why.
type Explanation struct {
	Routing
	// Event made the version that serves; null without a service.
	Event *Cause `json:"event"`
	// Quarantine is set while the newest version of the service is refused here and another
	// serves in its place.
	Quarantine *events.Quarantined `json:"quarantine,omitempty"`
}

// Cause is the event behind a version.
type Cause struct {
	// Seq is 0 if the log does not hold the event.
	Seq   uint64    `json:"seq,omitempty"`
	Stamp string    `json:"stamp,omitempty"`
	Time  time.Time `json:"time,omitzero"`
	Actor string    `json:"actor,omitempty"`
	// Origin is environment for a service that this replica's own environment defines.
	Origin string `json:"origin,omitempty"`
	ID     string `json:"id,omitempty"`
}

const originEnvironment = "environment"

// historyPatience bounds the search for an event.
const historyPatience = 10 * time.Second

// cause finds the event that made the version; the note says why it is not complete.
func (s *Server) cause(ctx context.Context, r *Routing) (c *Cause, note string) {
	if r.Version == "" {
		return nil, ""
	}
	stamp, err := crdt.ParseStamp(r.Version)
	stamped := err == nil
	if _, local := s.cfg.Local[r.Rule.Service]; local && !stamped && strings.HasPrefix(r.Version, originEnvironment) {
		return &Cause{Origin: originEnvironment}, ""
	}
	c = &Cause{}
	if stamped {
		c.Stamp, c.Time = r.Version, time.UnixMilli(int64(stamp.Millis())).UTC()
	}
	ctx, cancel := context.WithTimeout(ctx, historyPatience)
	defer cancel()
	query := events.Query{Kind: "service", Key: service.Key(r.Rule.Service)}
	err = s.cfg.History.Records(ctx, query, func(rec events.Record) error {
		switch {
		case stamped && made(rec, stamp):
			c.take(rec)
			return errFound // a repeat of it changes nothing
		case !stamped && rec.Action == "put" && bytes.Equal(rec.Data, r.Value):
			c.take(rec)
			c.Stamp = rec.Stamp
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errFound):
		return c, fmt.Sprintf("the event behind it cannot be looked up: %v", err)
	case c.Seq == 0:
		return c, "the log does not hold the event behind it: it is not there yet, or the log has begun anew since"
	}
	return c, ""
}

var errFound = errors.New("found")

func (c *Cause) take(rec events.Record) {
	c.Seq, c.Actor, c.Origin, c.ID, c.Time = rec.Seq, rec.Actor, rec.Origin, rec.ID, rec.Time.UTC()
}

// made reports whether a record is the write with that stamp. One that came without has
// got its sequence as node.
func made(rec events.Record, stamp crdt.Stamp) bool {
	return rec.Stamp == stamp.String() || rec.Stamp == "" && rec.Seq == stamp.Node
}

// quarantined is the refused version of a service; nil for none.
func (s *Server) quarantined(name string) *events.Quarantined {
	for _, q := range s.cfg.Replica.Status().Quarantine {
		if q.Service == name && name != "" {
			return &q
		}
	}
	return nil
}

// noExplainer stands where nothing serves.
type noExplainer struct{}

func (noExplainer) Explain(context.Context, Probe) (Routing, error) {
	return Routing{}, fmt.Errorf("%w: this replica serves nothing", events.ErrNotReady)
}
